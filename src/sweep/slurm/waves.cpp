#include "sweep/slurm/waves.hpp"

#include <algorithm>
#include <optional>

#include "core/error.hpp"
#include "sweep/waiting.hpp"

namespace xtasc::sweep {

namespace {

/// Finds out for each run in which wave it goes, if in any.
class WaveFinder {
 public:
  WaveFinder(const Sweep& sweep, const std::vector<const PlannedRun*>& runs, const SubmittedRuns& submitted)
      : sweep_(sweep), runs_(runs), submitted_(submitted), queue_(to_queue(submitted)) {}

  /// nullopt: it is left waiting.
  std::optional<std::size_t> wave_of(const PlannedRun* run) {
    if (const auto known = waves_.find(run); known != waves_.end()) {
      return known->second;
    }
    std::optional<std::size_t> wave = 0;
    for (const OpenNeed& need : open_needs(sweep_, *run, queue_)) {
      const bool is_selected = std::ranges::find(runs_, need.run) != runs_.end();
      const auto job = submitted_.find(need.run->id);
      const bool is_in_slurm = job != submitted_.end() && job->second.is_active;
      const std::optional<std::size_t> before = is_selected   ? wave_of(need.run)
                                                : is_in_slurm ? std::optional<std::size_t>(0)
                                                              : std::nullopt;
      if (!before) {
        left_waiting.emplace_back(run, left_waiting_text(need, is_selected));
        wave = std::nullopt;
        break;
      }
      wave = std::max(*wave, *before + 1);
    }
    waves_.emplace(run, wave);
    return wave;
  }

  std::vector<std::pair<const PlannedRun*, std::string>> left_waiting = {};

 private:
  const Sweep& sweep_;
  const std::vector<const PlannedRun*>& runs_;
  const SubmittedRuns& submitted_;
  Queue queue_;
  std::map<const PlannedRun*, std::optional<std::size_t>> waves_;
};

}  // namespace

Waves waves_of(const Sweep& sweep, const std::vector<const PlannedRun*>& runs, const SubmittedRuns& submitted) {
  WaveFinder finder(sweep, runs, submitted);
  std::map<std::size_t, std::vector<const PlannedRun*>> found;
  for (const PlannedRun* run : runs) {
    if (const auto wave = finder.wave_of(run)) {
      found[*wave].push_back(run);
    }
  }
  Waves waves;
  for (auto& [wave, of_wave] : found) {
    waves.waves.push_back(std::move(of_wave));
  }
  waves.left_waiting = std::move(finder.left_waiting);
  return waves;
}

JobsOfRuns active_jobs(const SubmittedRuns& submitted) {
  JobsOfRuns jobs;
  for (const auto& [id, run] : submitted) {
    if (run.is_active) {
      jobs[id] = run.job;
    }
  }
  return jobs;
}

void add_jobs(JobsOfRuns& jobs, const Submission& submission) {
  for (std::size_t i = 0; i < submission.runs.size(); ++i) {
    jobs[submission.runs[i]] =
        fmt::format("{}_{}", submission.job, static_cast<std::int64_t>(i) / submission.runs_per_element);
  }
}

std::vector<std::string> jobs_before(const std::vector<const PlannedRun*>& runs, const JobsOfRuns& jobs,
                                     const std::string& before) {
  std::vector<std::string> found;
  if (!before.empty()) {
    found.push_back(before);
  }
  for (const PlannedRun* run : runs) {
    for (const std::string& id : run->needs) {
      const auto job = jobs.find(id);
      const bool is_in_before = job != jobs.end() && !before.empty() && job->second.starts_with(before + "_");
      if (job != jobs.end() && !is_in_before && std::ranges::find(found, job->second) == found.end()) {
        found.push_back(job->second);
      }
    }
  }
  return found;
}

}  // namespace xtasc::sweep
