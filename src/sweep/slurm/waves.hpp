#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sweep/slurm/submission.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// Runs to hand to Slurm, those that need others behind them.
struct Waves {
  /// Those of the first wave need nothing that is not done; those of each other one need runs of the waves before it,
  /// or runs that Slurm has already. No wave is empty.
  std::vector<std::vector<const PlannedRun*>> waves = {};
  /// Runs that are not handed in, since nobody is going to do what they need, with left_waiting_text.
  std::vector<std::pair<const PlannedRun*, std::string>> left_waiting = {};
};

/// \param runs  that are to be submitted, of `sweep`  \param submitted  what Slurm has
[[nodiscard]] Waves waves_of(const Sweep& sweep, const std::vector<const PlannedRun*>& runs,
                             const SubmittedRuns& submitted);

/// The job of each run that Slurm has, "17_4", by the run's id.
using JobsOfRuns = std::map<std::string, std::string>;
[[nodiscard]] JobsOfRuns active_jobs(const SubmittedRuns& submitted);
/// Adds those of a submission that was accepted.
void add_jobs(JobsOfRuns& jobs, const Submission& submission);

/// The jobs that must have ended before these runs start, each once. \param before  an array all of which must have;
/// empty: none
[[nodiscard]] std::vector<std::string> jobs_before(const std::vector<const PlannedRun*>& runs, const JobsOfRuns& jobs,
                                                   const std::string& before);

}  // namespace xtasc::sweep
