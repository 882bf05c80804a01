#include "core/watchdog.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace xtasc {

namespace {

using std::chrono::milliseconds;

milliseconds interval_of(milliseconds limit) {
  return std::clamp(limit / 20, milliseconds(50), milliseconds(1000));
}

}  // namespace

Lookout::Lookout(milliseconds interval, std::function<bool()> look)
    : thread_([interval, look = std::move(look)](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        while (!wake.wait_for(lock, stop, interval, [&stop] { return stop.stop_requested(); }) && look()) {
        }
      }) {}

Silence::Silence(milliseconds interval) : interval_(interval), last_look_(std::chrono::steady_clock::now()) {}

milliseconds Silence::look(std::uint64_t count) {
  const auto now = std::chrono::steady_clock::now();
  since_last_look_ = std::chrono::duration_cast<milliseconds>(now - std::exchange(last_look_, now));
  // Much more than an interval: this thread was stopped as well.
  silence_ =
      std::exchange(count_, count) == count ? silence_ + std::min(since_last_look_, 2 * interval_) : milliseconds(0);
  return silence_;
}

Watchdog::Watchdog(milliseconds limit, std::function<void()> bite)
    : limit_(limit), bite_(std::move(bite)), silence_(interval_of(limit)) {
  if (limit_.count() > 0) {
    lookout_.emplace(interval_of(limit), [this] { return look(); });
  }
}

void Watchdog::beat() noexcept {
  is_resting_.store(false, std::memory_order_relaxed);
  num_beats_.fetch_add(1, std::memory_order_release);
}

void Watchdog::rest() noexcept {
  is_resting_.store(true, std::memory_order_relaxed);
}

bool Watchdog::look() {
  const milliseconds silence = silence_.look(num_beats_.load(std::memory_order_acquire));
  if (is_resting_.load(std::memory_order_relaxed)) {
    silence_.begin();
  } else if (silence >= limit_) {
    bite_();
    return false;
  }
  return true;
}

}  // namespace xtasc
