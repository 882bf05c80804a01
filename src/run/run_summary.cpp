#include "run/run_summary.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "run/run_folder.hpp"
#include "run/run_id.hpp"
#include "task/task.hpp"

namespace fs = std::filesystem;

namespace xtasc::run {

namespace {

/// Refuses a history that is not that of a finished run.
void require_whole_history(const std::vector<EpochRecord>& epochs, const config::TrainSection& train, bool is_done) {
  const std::int64_t num_epochs = epochs.empty() ? 0 : epochs.back().epoch;
  check(is_done, "not finished: {} of {} epochs", num_epochs, train.epochs);
  check(num_epochs > 0, "DONE, but metrics.jsonl holds no epoch");
  const bool was_ended = (train.max_steps > 0 && epochs.back().step >= train.max_steps) ||  // shorter on purpose
                         (train.patience > 0 && epochs.back().is_end_of_patience);
  check(num_epochs == train.epochs || was_ended, "DONE, but metrics.jsonl ends at epoch {} of {}", num_epochs,
        train.epochs);
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    const auto expected = static_cast<std::int64_t>(i) + 1;
    check(epochs[i].epoch == expected, "metrics.jsonl lacks epoch {}", expected);
  }
}

/// Refuses numbers of a run whose weights were no numbers any more; versions before wrote DONE all the same. The file
/// holds no NaN: what was one is absent, which is told from what a system lacks by the epochs that have it.
void require_finite(const std::vector<EpochRecord>& epochs, const task::Tasks& tasks) {
  std::vector<std::string> shown;
  for (const task::Task& task : tasks) {
    std::ranges::transform(task.metrics, std::back_inserter(shown),
                           [](const task::Metric& metric) { return std::string(metric.key); });
  }
  const auto is_finite = [](const MetricValues& values, const std::string& key) {
    const auto found = values.find(key);
    return found != values.end() && std::isfinite(found->second);
  };
  for (const EpochRecord& record : epochs) {
    const std::string_view of = record.is_of_holdout ? "held-out" : "validation";
    check(is_finite(record.val_loss, "total"), "diverged: the {} loss of epoch {} is not a finite number", of,
          record.epoch);
    for (const auto& [task, value] : record.val_loss) {
      check(std::isfinite(value), "diverged: the {} loss \"{}\" of epoch {} is not a finite number", of, task,
            record.epoch);
    }
  }
  for (const auto& [protocol, values_of] :
       {std::pair{"paper", &EpochRecord::paper}, {"dataset", &EpochRecord::dataset}}) {
    for (const std::string& key : shown) {
      const bool is_measured = std::ranges::any_of(
          epochs, [&, values_of = values_of](const EpochRecord& record) { return (record.*values_of).contains(key); });
      for (const EpochRecord& record : epochs) {
        check(!is_measured || is_finite(record.*values_of, key),
              "diverged: {} ({} protocol) of epoch {} is not a finite number", key, protocol, record.epoch);
      }
    }
  }
}

/// Of the metrics that all the epochs have.
MetricValues means_of(std::span<const EpochRecord> epochs, MetricValues EpochRecord::*values_of) {
  MetricValues means;
  for (const auto& [key, first] : epochs.front().*values_of) {
    double sum = 0.0;
    const bool is_in_all = std::ranges::all_of(epochs, [&, &key = key](const EpochRecord& epoch) {
      const auto found = (epoch.*values_of).find(key);
      sum += found == (epoch.*values_of).end() ? 0.0 : found->second;
      return found != (epoch.*values_of).end();
    });
    if (is_in_all) {
      means[key] = sum / static_cast<double>(epochs.size());
    }
  }
  return means;
}

/// The epochs that tables show: of a run that held images out as they were measured on the validation split at its end.
std::vector<EpochRecord> shown_epochs(const RunFolder& run, const std::vector<EpochRecord>& epochs, bool holds_out) {
  for (const EpochRecord& record : epochs) {
    check(record.is_of_holdout == holds_out, "epoch {} was measured on {}, data.holdout says otherwise", record.epoch,
          record.is_of_holdout ? "held-out images" : "the validation split");
  }
  if (!holds_out) {
    return epochs;
  }
  std::vector<EpochRecord> at_end = read_metrics(run.final_metrics(), Digests::needed);
  const auto has = [&at_end](const EpochRecord& record) {
    return std::ranges::count_if(at_end, [&record](const EpochRecord& other) {
             return other.epoch == record.epoch && !other.is_of_holdout && other.is_best == record.is_best;
           }) == 1;
  };
  const auto best = std::ranges::find(epochs.rbegin(), epochs.rend(), true, &EpochRecord::is_best);
  check(has(epochs.back()) && (best == epochs.rend() || has(*best)),
        "final.jsonl is not of the best and the last epoch of metrics.jsonl");
  return at_end;
}

RunSummary load_run(const RunFolder& run) {
  RunSummary summary;
  summary.folder = run.root;
  summary.config = read_config_of(run);
  const bool has_metrics = fs::exists(run.metrics());
  const std::vector<EpochRecord> epochs =
      has_metrics ? read_metrics(run.metrics(), digests_of(summary.config)) : std::vector<EpochRecord>{};
  require_whole_history(epochs, summary.config.train, run.is_done());
  require_finite(epochs, config::tasks_of(config::system_of(summary.config.model)));
  summary.provenance = read_provenance(run.provenance());
  const std::string& wanted = summary.config.data.pack_digest;
  const std::string& found = summary.provenance.pack_digest;
  check(wanted.empty() || found.empty() || wanted == found,
        "trained on a pack of digest {} by its provenance.json, {} by its config.toml: somebody changed one of them",
        found, wanted);
  const std::vector<EpochRecord> shown = shown_epochs(run, epochs, summary.config.data.holdout > 0.0);
  summary.last = shown.back();
  for (const EpochRecord& record : shown) {
    if (record.is_best) {
      summary.best = record;
    }
  }
  if (summary.config.data.holdout == 0.0 && shown.size() >= kNumMeanEpochs) {
    const auto last_ones = std::span(shown).last(kNumMeanEpochs);
    summary.mean10.emplace();
    summary.mean10->paper = means_of(last_ones, &EpochRecord::paper);
    summary.mean10->dataset = means_of(last_ones, &EpochRecord::dataset);
  }
  return summary;
}

/// Runs of before know the encoder's weights by their path: where later runs say what one file at that path holds, they
/// had the same.
void fill_in_weights_digests(std::vector<RunSummary>& runs) {
  std::map<std::string, std::set<std::string>> digests;
  for (const RunSummary& run : runs) {
    const config::ModelSection& model = run.config.model;
    if (!model.encoder_weights_digest.empty()) {
      digests[model.encoder_weights].insert(model.encoder_weights_digest);
    }
  }
  for (RunSummary& run : runs) {
    config::ModelSection& model = run.config.model;
    const auto found = digests.find(model.encoder_weights);
    if (model.encoder_weights_digest.empty() && found != digests.end() && found->second.size() == 1) {
      model.encoder_weights_digest = *found->second.begin();
    }
  }
}

fs::path real_path(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return error ? fs::absolute(path).lexically_normal() : real;
}

}  // namespace

bool are_side_by_side(const RunSummary& a, const RunSummary& b) {
  const fs::path folder_of_a = a.folder.parent_path();
  const fs::path folder_of_b = b.folder.parent_path();
  return folder_of_a == folder_of_b || real_path(folder_of_a) == real_path(folder_of_b);
}

LoadedRuns load_runs(std::span<const fs::path> roots, const std::function<void(const fs::path&)>& begin) {
  LoadedRuns result;
  std::set<fs::path> seen;
  for (const fs::path& root : roots) {
    for (const RunFolder& run : find_runs(root)) {
      if (!seen.insert(real_path(run.root)).second) {
        continue;
      }
      if (begin) {
        begin(run.root);
      }
      try {
        result.runs.push_back(load_run(run));
      } catch (const Error& broken) {
        result.left_out.push_back({run.root, broken.what()});
      } catch (const fs::filesystem_error& broken) {
        result.left_out.push_back({run.root, text_of(broken)});
      }
    }
  }
  fill_in_weights_digests(result.runs);
  std::ranges::sort(result.runs, {}, &RunSummary::folder);
  std::ranges::sort(result.left_out, {}, &LeftOutRun::folder);
  return result;
}

}  // namespace xtasc::run
