// A library for LD_PRELOAD: a clock of the day that is an hour earlier each time somebody looks at it.
#include <dlfcn.h>

#include <atomic>
#include <ctime>

namespace {

std::time_t set_back() {
  static std::atomic<std::time_t> looks{0};
  return 3600 * looks++;
}

int real_time(clockid_t clock, timespec* now) {
  static auto* const real = reinterpret_cast<int (*)(clockid_t, timespec*)>(::dlsym(RTLD_NEXT, "clock_gettime"));
  return real(clock, now);
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const int outcome = real_time(clock, now);
  if (outcome == 0 && clock == CLOCK_REALTIME) {
    now->tv_sec -= set_back();
  }
  return outcome;
}

extern "C" std::time_t time(std::time_t* result) noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) {
    *result = now.tv_sec;
  }
  return now.tv_sec;
}
