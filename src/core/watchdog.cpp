#include "core/watchdog.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "core/error.hpp"

namespace xtasc {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

}  // namespace

Watchdog::Watchdog(std::chrono::seconds limit, std::string who) : limit_(limit), who_(std::move(who)) {
  if (limit_.count() > 0) {
    thread_ = std::thread([this] { watch(); });
  }
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  ended_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Watchdog::beat(const char* now, std::int64_t number) noexcept {
  now_.store(now, std::memory_order_relaxed);
  number_.store(number, std::memory_order_relaxed);
  num_beats_.fetch_add(1, std::memory_order_release);
}

void Watchdog::watch() {
  const milliseconds tick = std::clamp(milliseconds(limit_) / 20, milliseconds(50), milliseconds(1000));
  milliseconds silence(0);
  std::uint64_t beats_seen = 0;
  std::unique_lock lock(mutex_);
  while (!is_over_) {
    const Clock::time_point before = Clock::now();
    ended_.wait_for(lock, tick);
    if (const std::uint64_t beats = num_beats_.load(std::memory_order_acquire); beats != beats_seen) {
      beats_seen = beats;
      silence = milliseconds(0);
      continue;
    }
    // Much more than a tick: this thread was stopped as well.
    silence += std::min(std::chrono::duration_cast<milliseconds>(Clock::now() - before), 2 * tick);
    if (silence >= limit_ && !is_over_) {
      bite();
    }
  }
}

void Watchdog::bite() const {
  const std::string line = fmt::format(
      "xtasc: error: {}: nothing got done for {} s in {} (since {:%H:%M:%S} UTC): another rank or a file system "
      "hangs; ending, the same command resumes\n",
      who_, limit_.count(), number_.load() > 0 ? fmt::format("{} {}", now_.load(), number_.load()) : now_.load(),
      fmt::gmtime(std::time(nullptr) - limit_.count()));
  // No stream: the thread that hangs may hold its lock.
  static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
  std::_Exit(static_cast<int>(ExitCode::interrupted));
}

}  // namespace xtasc
