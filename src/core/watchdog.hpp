#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace xtasc {

/// Ends the process when nothing gets done any more: a peer that hangs in a collective call, or a file system that does
/// not answer, makes no noise of its own, and neither MPI nor Slurm notices. A thread of its own counts the time since
/// the last beat(); time in which the whole process was stopped (suspended by Slurm or a user) counts as a moment.
class Watchdog {
 public:
  /// \param limit  without a beat for this long, the process ends with exit code 85 ("the same command resumes") and
  /// one line on standard error; 0 switches it off \param who  the line's subject: "rank 1 on node17"
  Watchdog(std::chrono::seconds limit, std::string who);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Something is done, and this begins. \param now  a literal: "training step" \param number  which one; 0: there is
  /// only one
  void beat(const char* now, std::int64_t number) noexcept;

 private:
  void watch();
  [[noreturn]] void bite() const;

  const std::chrono::seconds limit_;
  const std::string who_;
  std::atomic<const char*> now_{"its start"};
  std::atomic<std::int64_t> number_{0};
  std::atomic<std::uint64_t> num_beats_{0};

  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace xtasc
