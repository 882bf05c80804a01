#include "core/watchdog.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <utility>

#include "core/error.hpp"

namespace xtasc {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

}  // namespace

Lookout::Lookout(milliseconds interval, std::function<bool()> look)
    : thread_([interval, look = std::move(look)](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        while (!wake.wait_for(lock, stop, interval, [&stop] { return stop.stop_requested(); }) && look()) {
        }
      }) {}

Watchdog::Watchdog(milliseconds limit, std::function<void()> bite)
    : limit_(limit),
      tick_(std::clamp(limit / 20, milliseconds(50), milliseconds(1000))),
      bite_(std::move(bite)),
      last_look_(Clock::now()) {
  if (limit_.count() > 0) {
    lookout_.emplace(tick_, [this] { return look(); });
  }
}

Watchdog::Watchdog(std::chrono::seconds limit, std::string who)
    : Watchdog(milliseconds(limit), [this, who = std::move(who)] { end_process(who); }) {}

void Watchdog::beat(const char* now, std::int64_t number) noexcept {
  now_.store(now, std::memory_order_relaxed);
  number_.store(number, std::memory_order_relaxed);
  is_resting_.store(false, std::memory_order_relaxed);
  num_beats_.fetch_add(1, std::memory_order_release);
}

void Watchdog::rest() noexcept {
  is_resting_.store(true, std::memory_order_relaxed);
}

bool Watchdog::look() {
  const Clock::time_point now = Clock::now();
  const auto since_last_look = std::chrono::duration_cast<milliseconds>(now - std::exchange(last_look_, now));
  const std::uint64_t beats = num_beats_.load(std::memory_order_acquire);
  if (std::exchange(beats_seen_, beats) != beats || is_resting_.load(std::memory_order_relaxed)) {
    silence_ = milliseconds(0);
    return true;
  }
  silence_ += std::min(since_last_look, 2 * tick_);  // much more than a tick: this thread was stopped as well
  if (silence_ < limit_) {
    return true;
  }
  bite_();
  return false;
}

void Watchdog::end_process(const std::string& who) const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit_).count();
  const std::string line = fmt::format(
      "xtasc: error: {}: nothing got done for {} s in {} (since {:%H:%M:%S} UTC): another rank or a file system "
      "hangs; ending, the same command resumes\n",
      who, seconds, number_.load() > 0 ? fmt::format("{} {}", now_.load(), number_.load()) : now_.load(),
      fmt::gmtime(std::time(nullptr) - seconds));
  // No stream: the thread that hangs may hold its lock.
  static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
  std::_Exit(static_cast<int>(ExitCode::interrupted));
}

}  // namespace xtasc
