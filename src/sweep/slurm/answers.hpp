#pragma once

#include <cstdint>
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

/// Reads what `squeue --json` printed, of Slurm 21.08 or later (where numbers became objects and states lists), among
/// whatever a site's wrappers print before and behind. \throws Error when it is not that, or when it says that Slurm
/// did not answer: that must not be taken for an empty queue.
[[nodiscard]] std::vector<SlurmJob> parse_queue(const std::string& json);

/// What an answer of `squeue --json` says went wrong; empty: nothing. Without a controller, 22.05 prints an empty list
/// of jobs with this beside it, and ends with exit code 0.
[[nodiscard]] std::string fault_in_queue(const std::string& json);

/// The same of what squeue printed in the plain form that Slurm::queue asks for where there is no JSON: a heading and a
/// line a job. \throws Error when there is no such heading
[[nodiscard]] std::vector<SlurmJob> parse_plain_queue(const std::string& text);

/// The job's id in what `sbatch --parsable` printed: the last line that is "ID" or "ID;CLUSTER", for plugins and
/// wrappers of a site print lines of their own. nullopt: there is none
[[nodiscard]] std::optional<std::string> job_id_of(const std::string& answer);

/// "0-3,7,12-15%4" -> ranges. \throws Error
[[nodiscard]] std::vector<std::pair<std::int64_t, std::int64_t>> parse_elements(const std::string& text);

/// The lines of an answer, without spaces at either end.
[[nodiscard]] std::vector<std::string> answer_lines(const std::string& text);

/// An answer of which nothing is understood, for people: its last line that says something in quotes, or "nothing".
[[nodiscard]] std::string quoted_answer(const std::string& text);

}  // namespace xtasc::sweep
