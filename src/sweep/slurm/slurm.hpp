#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace xtasc::sweep {

/// One record of squeue: an element of an array, or its elements that wait still.
struct SlurmJob {
  std::string token = {};  ///< of the submission, from comment or name; empty: not one of ours
  std::int64_t array = 0;  ///< the array's job id, or the job's own
  /// Indices of its elements, each range from first to last; without an array the one element 0.
  std::vector<std::pair<std::int64_t, std::int64_t>> elements = {};
  std::string state = {};   ///< Slurm's word: PENDING, RUNNING, COMPLETING, COMPLETED, FAILED, CANCELLED, ...
  std::string reason = {};  ///< why it waits; empty: it does not
  std::string nodes = {};   ///< "n[1-2]"
};

/// Is there anything to come of a job in this state? (It waits, runs, or is about to be put back into the queue.)
[[nodiscard]] bool is_active(const std::string& state);

/// Reads what `squeue --json` prints, of Slurm 22.05 or later (where numbers became objects and states lists).
/// \throws Error when it is not that, or when it says that Slurm did not answer.
[[nodiscard]] std::vector<SlurmJob> parse_queue(const std::string& json);

/// What an answer of `squeue --json` says went wrong; empty: nothing. Without a controller, 22.05 prints an empty list
/// of jobs with this beside it, and ends with exit code 0.
[[nodiscard]] std::string fault_in_queue(const std::string& json);

/// "0-3,7,12-15%4" -> ranges. \throws Error
[[nodiscard]] std::vector<std::pair<std::int64_t, std::int64_t>> parse_elements(const std::string& text);

/// The few commands of Slurm that a sweep needs. While the controller does not answer they are repeated, with pauses
/// that grow, until patience ends; each pause is logged.
class Slurm {
 public:
  /// \param patience  for one question, all its repetitions included
  explicit Slurm(std::chrono::seconds patience) : patience_(patience) {}

  /// All jobs of this user that the controller still knows, finished ones for a while as well.
  [[nodiscard]] std::vector<SlurmJob> queue() const;

  /// One attempt at sbatch. \param lock  a descriptor that sbatch keeps open, see run_command. \param after  jobs
  /// ("17") and elements ("17_3") that must have ended before this one starts, however they ended. \returns the job's
  /// id; nullopt when no answer came: whether the job was accepted is not known then, and only queue() tells
  /// \throws Error when Slurm refused the script, with its reason.
  [[nodiscard]] std::optional<std::string> submit(const std::string& script, int lock,
                                                  const std::vector<std::string>& after = {}) const;

  /// Ends jobs or elements ("17", "17_3"); those that are gone already are no error.
  void cancel(const std::vector<std::string>& jobs) const;

  /// MaxArraySize: one more than the largest index of an array.
  [[nodiscard]] std::int64_t max_array_size() const;

 private:
  [[nodiscard]] std::string ask(const std::vector<std::string>& words,
                                const std::function<std::string(const std::string&)>& fault_in) const;

  std::chrono::seconds patience_;
};

}  // namespace xtasc::sweep
