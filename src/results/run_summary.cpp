#include "results/run_summary.hpp"

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "core/error.hpp"
#include "results/run_folder.hpp"

namespace fs = std::filesystem;

namespace xtasc::results {

namespace {

/// Refuses a history that is not that of a finished run.
void require_whole_history(const std::vector<EpochRecord>& epochs, const config::TrainSection& train, bool is_done) {
  const std::int64_t num_epochs = epochs.empty() ? 0 : epochs.back().epoch;
  check(is_done, "not finished: {} of {} epochs", num_epochs, train.epochs);
  check(num_epochs > 0, "DONE, but metrics.jsonl holds no epoch");
  // A run that max_steps ended is shorter on purpose.
  check(num_epochs == train.epochs || train.max_steps > 0, "DONE, but metrics.jsonl ends at epoch {} of {}", num_epochs,
        train.epochs);
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    const auto expected = static_cast<std::int64_t>(i) + 1;
    check(epochs[i].epoch == expected, "metrics.jsonl lacks epoch {}", expected);
  }
}

RunSummary load_run(const RunFolder& run) {
  RunSummary summary;
  summary.folder = run.root;
  summary.config = config::read_run_config(run.config());
  const bool has_metrics = fs::exists(run.metrics());
  const std::vector<EpochRecord> epochs = has_metrics ? read_metrics(run.metrics()) : std::vector<EpochRecord>{};
  require_whole_history(epochs, summary.config.train, run.is_done());
  summary.provenance = read_provenance(run.provenance());
  summary.last = epochs.back();
  for (const EpochRecord& record : epochs) {
    if (record.is_best) {
      summary.best = record;
    }
  }
  return summary;
}

}  // namespace

LoadedRuns load_runs(std::span<const fs::path> roots) {
  LoadedRuns result;
  std::set<fs::path> seen;
  for (const fs::path& root : roots) {
    for (const RunFolder& run : find_runs(root)) {
      std::error_code error;
      const fs::path canonical = fs::canonical(run.root, error);
      if (!seen.insert(error ? run.root : canonical).second) {
        continue;
      }
      try {
        result.runs.push_back(load_run(run));
      } catch (const Error& broken) {
        result.left_out.push_back({run.root, broken.what()});
      } catch (const fs::filesystem_error& broken) {
        result.left_out.push_back({run.root, broken.code().message()});
      }
    }
  }
  std::ranges::sort(result.runs, {}, &RunSummary::folder);
  std::ranges::sort(result.left_out, {}, &LeftOutRun::folder);
  return result;
}

}  // namespace xtasc::results
