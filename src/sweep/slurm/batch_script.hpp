#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "sweep/slurm/site.hpp"

namespace xtasc::sweep {

/// What one array of jobs is about, beside what the site says.
struct BatchJob {
  std::string sweep;                ///< its name
  std::string token;                ///< of the submission: unique, in the job's name and comment
  std::filesystem::path folder;     ///< of the sweep, absolute
  std::filesystem::path directory;  ///< where the ranks start, absolute: paths in configs are relative to it
  std::string trainer_hash;         ///< folder of the frozen trainer
  std::string sweeper_hash = {};    ///< of the frozen xtasc-sweep, for a sweep with [stop]; empty: without
  std::int64_t num_runs = 0;        ///< lines of tasks.txt
  std::int64_t max_at_once = 0;     ///< elements at once, of this array; 0: no limit
};

/// How many elements an array has that holds so many runs.
[[nodiscard]] std::int64_t num_elements(std::int64_t num_runs, const Site& site);

/// The text of job.sbatch: a pure function of its arguments. \param form  slurm/job.sbatch.in
/// \throws Error when the form has a place that is not known, or lacks one for which there is something.
[[nodiscard]] std::string batch_script(std::string_view form, const Site& site, const BatchJob& job);

/// How sbatch's --job-name and --comment carry the token.
[[nodiscard]] std::string job_name(const BatchJob& job);
[[nodiscard]] std::string job_comment(std::string_view token);

}  // namespace xtasc::sweep
