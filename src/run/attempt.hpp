#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/file_lock.hpp"
#include "run/run_folder.hpp"

namespace xtasc::run {

/// One start of a run: attempt.json.
struct Attempt {
  std::int64_t number = 0;  ///< 1 for the first
  std::string host;
  std::int64_t pid = 0;  ///< of rank 0, on that host
  std::string job;       ///< "17_3" under Slurm, else empty
  std::string started;   ///< ISO 8601, UTC

  /// "attempt 2 (n1, process 4711, job 17_3, since 2026-01-31T12:34:56Z)"
  [[nodiscard]] std::string text() const;
};

/// The last start of a run; nullopt when there was none. \throws Error when the file is damaged.
[[nodiscard]] std::optional<Attempt> read_attempt(const RunFolder& run);

/// The right to write into a run folder, from a start of the run to its end: held by rank 0 only. Two trainers of one
/// run on one machine are kept apart by a lock on the file `lock`. Across machines, where a node that was cut off may
/// still train a run that Slurm has started again elsewhere, each start raises the number in attempt.json, and whoever
/// finds another number than its own stops before it writes.
class RunClaim {
 public:
  /// \param take_over  go on although the lock is held: the batch script knows that the holder is a ghost
  /// \throws Error when another process holds the lock, naming it.
  RunClaim(const RunFolder& run, bool take_over);
  RunClaim(const RunClaim&) = delete;
  RunClaim& operator=(const RunClaim&) = delete;

  /// To be called before every write. \throws Error when a later start took the run over.
  void check_still_ours() const;

  [[nodiscard]] const Attempt& attempt() const { return attempt_; }

 private:
  RunFolder run_;
  std::optional<FileLock> lock_;
  Attempt attempt_;
};

}  // namespace xtasc::run
