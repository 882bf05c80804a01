#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sweep/folder.hpp"
#include "sweep/slurm/slurm.hpp"
#include "sweep/state.hpp"

namespace xtasc::sweep {

/// One array that was handed to Slurm, or was about to be:
///
///     <sweep folder>/.sweep/submissions/<token>/
///       submission.json  written before sbatch; the job id is added when its answer came
///       tasks.txt        one run id a line: line i is in element i / runs_per_element
///       needs.txt        line i: the runs that must be DONE before that of line i of tasks.txt, with blanks between
///       job.sbatch       what was submitted
///       ended/<run id>   "CODE why": this submission will not start the run again
///       starts/<run id>  the batch script's count of starts that got the run no further
///       log/             what Slurm and the batch script say
struct Submission {
  std::string token = {};             ///< random and unique; in the job's comment, by which it is found again
  std::filesystem::path folder = {};  ///< of the submission
  std::int64_t sequence = 0;          ///< 1 for the sweep's first
  std::int64_t created_unix = 0;      ///< seconds; when it was written down
  std::string job = {};               ///< the array's job id; empty: no answer came
  std::string refused = {};           ///< why Slurm does not have it; empty: it may
  std::int64_t runs_per_element = 1;
  std::vector<std::string> runs = {};
  std::vector<std::vector<std::string>> needs = {};  ///< of each run; only written, the batch script reads it
};

/// All submissions of a sweep, the oldest first. \throws Error when one is damaged.
[[nodiscard]] std::vector<Submission> read_submissions(const SweepFolder& folder);

/// Makes the submission's folder and files. What is on the disk then finds the job, whatever becomes of this process.
/// \param script  the text of job.sbatch
void write_submission(const Submission& submission, const std::string& script);

/// A token that no other submission has: twelve hexadecimal digits.
[[nodiscard]] std::string new_token();

/// What Slurm and the batch scripts know of one run.
struct SubmittedRun {
  std::string submission = {};  ///< token
  std::string job = {};         ///< "17_4"; empty: Slurm no longer knows it
  std::string state = {};       ///< Slurm's word: PENDING, RUNNING, COMPLETING, FAILED, ...; empty: no longer known
  std::string reason = {};      ///< why it waits
  std::string nodes = {};       ///< where it runs
  std::string ended = {};       ///< "failed with exit code 1", "cancelled", ...; empty: not said
  int code = 0;                 ///< exit code that goes with `ended`, or with Slurm's state where that is the end
  bool is_active = false;       ///< waits or runs
};

/// By run id; a run that was never submitted, or that Slurm forgot and no script said anything of, is absent.
using SubmittedRuns = std::map<std::string, SubmittedRun>;

/// What became of every run that was submitted. An active element counts more than an ended one, of active ones that
/// which runs, then the earliest; of ended ones the last.
[[nodiscard]] SubmittedRuns submitted_runs(const std::vector<Submission>& submissions,
                                           const std::vector<SlurmJob>& jobs);

/// The same for `status` and `run`.
[[nodiscard]] Queue to_queue(const SubmittedRuns& runs);

/// What the submissions' own files say where Slurm does not: runs that were accepted and have not ended count as
/// queued, under their array's job.
[[nodiscard]] Queue queue_without_answer(const SweepFolder& folder);

/// What Slurm knows of a sweep's runs; asks it only where there are submissions. \param patience  see Slurm
/// \throws Error when Slurm gives no answer
[[nodiscard]] Queue ask_queue(const SweepFolder& folder, std::chrono::seconds patience);

/// Gives submissions without an answer the job that Slurm has under their token. One that is not found, and is old
/// enough that sbatch cannot be under way any more, is marked refused; for a young one this waits. Call it under the
/// sweep's lock. \returns the jobs as Slurm last told them
std::vector<SlurmJob> find_lost_answers(std::vector<Submission>& submissions, const Slurm& slurm);

/// sbatch, until there is an answer. Between two attempts the queue is asked for the token, so that a job whose answer
/// was lost is not submitted again. \param lock, after  see Slurm::submit
/// \throws Error when Slurm refuses the script, or gives no answer for `attempts` attempts.
void submit(Submission& submission, const Slurm& slurm, int lock, const std::vector<std::string>& after = {});

/// Ends runs that wait or run in Slurm: elements all of whose active runs are among them by scancel, others by a file
/// STOP in the run's folder. None comes back. \param jobs  of Slurm::queue \returns how many runs were active
std::int64_t cancel(const SweepFolder& folder, const std::vector<Submission>& submissions,
                    const std::vector<SlurmJob>& jobs, const std::vector<std::string>& runs, const Slurm& slurm);

}  // namespace xtasc::sweep
