#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
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

/// Notices when nothing gets done any more: a peer that hangs in a collective call, or a file system that does not
/// answer, makes no noise of its own, and neither MPI nor Slurm notices. A thread of its own counts the time since the
/// last beat(); time in which the whole process was stopped (suspended by Slurm or a user) counts as a moment.
class Watchdog {
 public:
  /// \param bite  called once, from the watchdog's thread, after `limit` without a beat; should end the process, and
  /// must not throw
  Watchdog(std::chrono::milliseconds limit, std::function<void()> bite);
  /// One that ends the process with exit code 85 ("the same command resumes") and one line on standard error.
  /// \param limit  0 switches it off \param who  the line's subject: "rank 1 on node17"
  Watchdog(std::chrono::seconds limit, std::string who);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Something is done, and this begins. \param now  a literal: "training step" \param number  which one; 0: there is
  /// only one
  void beat(const char* now, std::int64_t number) noexcept;
  /// There is nothing to do until the next beat.
  void rest() noexcept;

 private:
  [[nodiscard]] bool look();
  [[noreturn]] void end_process(const std::string& who) const;

  const std::chrono::milliseconds limit_, tick_;
  const std::function<void()> bite_;
  std::atomic<const char*> now_{"its start"};
  std::atomic<std::int64_t> number_{0};
  std::atomic<std::uint64_t> num_beats_{0};
  std::atomic<bool> is_resting_ = false;

  // The thread's own.
  std::uint64_t beats_seen_ = 0;
  std::chrono::milliseconds silence_{0};
  std::chrono::steady_clock::time_point last_look_;
  std::optional<Lookout> lookout_;
};

}  // namespace xtasc
