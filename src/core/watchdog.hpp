#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>

namespace xtasc {

/// A thread that looks at something at intervals, from the first interval's end until this object dies, which ends a
/// wait between two looks at once.
class Lookout {
 public:
  /// \param look  must not throw; false: there is nothing more to look for
  Lookout(std::chrono::milliseconds interval, std::function<bool()> look);

 private:
  std::jthread thread_;
};

/// How long a counter has stood still, as one sees who looks at it at intervals. Time in which the whole process was
/// stopped (suspended by Slurm or a user) counts as a moment. For one thread.
class Silence {
 public:
  /// \param interval  about the time between two looks
  explicit Silence(std::chrono::milliseconds interval);

  /// \returns the silence until now; 0 where the count is another than at the last look
  std::chrono::milliseconds look(std::uint64_t count);
  /// It begins now.
  void begin() { silence_ = std::chrono::milliseconds(0); }
  /// At the last look: the time since the one before.
  [[nodiscard]] std::chrono::milliseconds since_last_look() const { return since_last_look_; }

 private:
  std::chrono::milliseconds interval_, silence_{0}, since_last_look_{0};
  std::chrono::steady_clock::time_point last_look_;
  std::uint64_t count_ = 0;
};

/// Notices when nothing gets done any more: a peer that hangs in a collective call makes no noise of its own. A thread
/// of its own looks how long the last beat() is past. See ProgramWatch for whole programs.
class Watchdog {
 public:
  /// \param bite  called once, from the watchdog's thread, after `limit` without a beat; should end the process, and
  /// must not throw
  Watchdog(std::chrono::milliseconds limit, std::function<void()> bite);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Something is done, and something begins.
  void beat() noexcept;
  /// There is nothing to do until the next beat.
  void rest() noexcept;

 private:
  [[nodiscard]] bool look();

  const std::chrono::milliseconds limit_;
  const std::function<void()> bite_;
  std::atomic<std::uint64_t> num_beats_{0};
  std::atomic<bool> is_resting_ = false;
  Silence silence_;  ///< the thread's own
  std::optional<Lookout> lookout_;
};

}  // namespace xtasc
