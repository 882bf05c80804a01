#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/command.hpp"
#include "sweep/slurm/answers.hpp"

namespace xtasc::sweep {

/// What became of one attempt at sbatch. Without a job, whether it was accepted is not known, and only the queue tells.
struct SubmitAnswer {
  std::string job = {};     ///< its id; empty: there is none in the answer, or no answer came
  std::string puzzle = {};  ///< an answer that is not understood, for people; empty: there was none
};

/// The few commands of Slurm that a sweep needs. While the controller does not answer they are repeated, with pauses
/// that grow, until patience ends; each pause is logged.
class Slurm {
 public:
  /// \param patience  for one question, all its repetitions included
  explicit Slurm(std::chrono::seconds patience) : patience_(patience) {}

  /// All jobs of this user that the controller still knows, finished ones for a while as well.
  [[nodiscard]] std::vector<SlurmJob> queue() const;

  /// One attempt at sbatch. \param lock  a descriptor that sbatch keeps open, see run_command. \param after  jobs
  /// ("17") and elements ("17_3") that must have ended before this one starts, however they ended. In the shell of
  /// another job that one's variables are taken out of this process's environment before.
  /// \throws Error when Slurm refused the script, with its reason.
  [[nodiscard]] SubmitAnswer submit(const std::string& script, int lock,
                                    const std::vector<std::string>& after = {}) const;

  /// Ends jobs or elements ("17", "17_3"); those that are gone already are no error.
  void cancel(const std::vector<std::string>& jobs) const;

  /// MaxArraySize: one more than the largest index of an array. \throws Error where it is 0
  [[nodiscard]] std::int64_t max_array_size() const;

 private:
  /// An answer, whatever it is, but that the controller is away. \param fault_in  why an answer says that, too
  [[nodiscard]] CommandResult ask(const std::vector<std::string>& words,
                                  const std::function<std::string(const std::string&)>& fault_in) const;
  /// \throws Error where the command failed
  [[nodiscard]] std::string output_of(const std::vector<std::string>& words) const;

  std::chrono::seconds patience_;
};

}  // namespace xtasc::sweep
