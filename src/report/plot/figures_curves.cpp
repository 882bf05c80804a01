#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "report/metric_columns.hpp"
#include "report/plot/figures.hpp"
#include "report/series_names.hpp"
#include "run/run_folder.hpp"

namespace xtasc::report {

namespace {

/// By the task's key, and by seed: the history of the run that has the task.
using Histories = std::map<std::string_view, std::vector<std::vector<run::EpochRecord>>>;

Histories read_histories(const SeedGroup& group) {
  Histories histories;
  for (const SeedResult& seed : group.seeds) {
    for (const run::RunSummary* run : seed.runs) {
      const std::vector<run::EpochRecord> records =
          run::read_metrics(run::RunFolder{run->folder}.metrics(), run::digests_of(run->config));
      for (const std::string_view task : config::system_of(run->config.model).tasks) {
        histories[task].push_back(records);
      }
    }
  }
  return histories;
}

using Values = std::function<const std::map<std::string, double>&(const run::EpochRecord&)>;

/// Mean and deviation over the seeds, epoch by epoch.
std::vector<PlotPoint> mean_curve(const std::vector<std::vector<run::EpochRecord>>& seeds, const Values& values,
                                  std::string_view key, const std::function<double(double)>& shown) {
  std::map<std::int64_t, std::vector<double>> by_epoch;
  for (const std::vector<run::EpochRecord>& records : seeds) {
    for (const run::EpochRecord& record : records) {
      if (const std::optional<double> value = value_of(values(record), key)) {
        by_epoch[record.epoch].push_back(shown(*value));
      }
    }
  }
  std::vector<PlotPoint> points;
  for (const auto& [epoch, of_seeds] : by_epoch) {
    const Moments of = moments(of_seeds);
    points.push_back({.x = static_cast<double>(epoch), .y = of.mean, .deviation = of.deviation});
  }
  return points;
}

struct CurvePanel {
  std::string y_label;
  std::string_view task;
  bool is_loss = true;
  std::string_view key;
  double factor = 1.0;
};

std::vector<CurvePanel> curve_panels(const task::Tasks& tasks, const run::Provenance& from) {
  std::vector<CurvePanel> panels;
  for (const task::Task& task : tasks) {
    panels.push_back({.y_label = fmt::format("{} loss", title_of(task)), .task = task.key, .key = task.key});
    for (const task::Metric& metric : task.metrics) {
      panels.push_back({.y_label = axis_label(metric, from),
                        .task = task.key,
                        .is_loss = false,
                        .key = metric.key,
                        .factor = metric.factor});
    }
  }
  return panels;
}

std::int64_t most_epochs(std::span<const SeedGroup> groups) {
  std::int64_t most = 1;
  for (const SeedGroup& group : groups) {
    most = std::max(most, group.first().last.epoch);
  }
  return most;
}

/// What is measured of each pair of tasks' gradients.
struct ConflictMeasure {
  const char* key;      ///< in the records
  const char* y_label;  ///< behind the tasks' names
  bool has_zero_line;
  double (*shown)(double value, bool is_swapped);  ///< is_swapped: the run has the pair's tasks in the other order
};

constexpr std::array<ConflictMeasure, 3> kConflictMeasures = {
    ConflictMeasure{"cosine", "cosine", true, [](double cosine, bool /*is_swapped*/) { return cosine; }},
    ConflictMeasure{"norm_ratio", "log2 of the norms' ratio", true,
                    [](double ratio, bool is_swapped) { return is_swapped ? -std::log2(ratio) : std::log2(ratio); }},
    ConflictMeasure{"in_conflict", "steps in conflict (%)", false,
                    [](double share, bool /*is_swapped*/) { return 100.0 * share; }}};

/// One of an epoch's measures by pair of tasks; empty where the method had no gradients at hand.
const std::map<std::string, double>& conflicts_of(const run::EpochRecord& record, const char* measure) {
  static const std::map<std::string, double> none;
  const auto found = record.gradients.find(measure);
  return found == record.gradients.end() ? none : found->second;
}

/// Ten tics at most, on whole epochs.
std::vector<Tic> epoch_tics(std::int64_t num_epochs) {
  std::int64_t step = 1;
  for (const std::int64_t next : {2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 2000, 5000}) {
    step = num_epochs / step > 10 ? next : step;
  }
  std::vector<Tic> tics;
  for (std::int64_t epoch = step; epoch <= num_epochs; epoch += step) {
    tics.push_back({.at = static_cast<double>(epoch), .text = fmt::format("{}", epoch)});
  }
  return tics;
}

/// What the epochs' losses and metrics are of. \throws Error where that is not the same for all
std::string measured_on(std::span<const SeedGroup> groups) {
  const bool holds_out = groups.front().first().config.data.holdout > 0.0;
  for (const SeedGroup& group : groups) {
    check((group.first().config.data.holdout > 0.0) == holds_out,
          "curves of runs with data.holdout are of held-out images, those of others of the validation split: give runs "
          "of one kind");
  }
  return holds_out ? "held-out images" : "validation";
}

}  // namespace

Plot curves_plot(std::span<const SeedGroup> groups, Protocol protocol) {
  check(!groups.empty(), "no finished run to draw");
  check(groups.size() <= kNumStyles, "{} nets, and a figure can tell {} apart: give fewer run folders", groups.size(),
        kNumStyles);
  const std::vector<std::string> names = series_names(groups, {});
  const std::string on = measured_on(groups);
  Plot plot{.title = "Training curves",
            .subtitle = shown_text(groups, protocol, "bands") + fmt::format("; losses: solid {}, dashed training", on) +
                        (on == "validation" ? "" : "; metrics: of " + on),
            .num_columns = 3,
            .panels = {}};
  std::vector<Histories> histories;
  std::ranges::transform(groups, std::back_inserter(histories), read_histories);
  const Values train_loss = [](const run::EpochRecord& record) -> const auto& {
    return record.train_loss;
  };
  const Values val_loss = [](const run::EpochRecord& record) -> const auto& {
    return record.val_loss;
  };
  const Values metrics = [protocol](const run::EpochRecord& record) -> const auto& {
    return protocol == Protocol::paper ? record.paper : record.dataset;
  };
  for (const CurvePanel& of : curve_panels(tasks_of(groups), groups.front().first().provenance)) {
    Panel panel{.x_label = "Epoch",
                .y_label = of.y_label,
                .x_tics = epoch_tics(most_epochs(groups)),
                .x_min = {},
                .x_max = {},
                .series = {}};
    const auto shown = [&of](double value) { return value * of.factor; };
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const auto& seeds = histories[i][of.task];
      if (of.is_loss) {
        panel.series.push_back({.name = "",
                                .kind = SeriesKind::faint,
                                .style = i,
                                .points = mean_curve(seeds, train_loss, of.key, shown)});
      }
      panel.series.push_back({.name = names[i],
                              .kind = SeriesKind::curve,
                              .style = i,
                              .points = mean_curve(seeds, of.is_loss ? val_loss : metrics, of.key, shown)});
    }
    plot.panels.push_back(std::move(panel));
  }
  return plot;
}

Plot conflict_plot(std::span<const SeedGroup> all) {
  check(!all.empty(), "no finished run to draw");
  std::vector<SeedGroup> groups;
  std::vector<Histories> histories;
  for (const SeedGroup& group : all) {
    Histories of_group = read_histories(group);
    const std::vector<run::EpochRecord>& of_first = of_group.begin()->second.front();
    if (std::ranges::any_of(of_first, [](const run::EpochRecord& epoch) { return !epoch.gradients.empty(); })) {
      groups.push_back(group);
      histories.push_back(std::move(of_group));
    }
  }
  check(!groups.empty(),
        "no finished run has anything of its tasks' gradients in its metrics.jsonl: weighting methods that look at the "
        "gradients write it, e.g. weighting.method = \"pcgrad\"");
  if (groups.size() < all.size()) {
    log_warning("not drawn: {} of {} nets, whose weighting method had no gradients at hand", all.size() - groups.size(),
                all.size());
  }
  check(groups.size() <= kNumStyles, "{} nets, and a figure can tell {} apart: give fewer run folders", groups.size(),
        kNumStyles);
  const std::vector<std::string> names = series_names(groups, {});
  Plot plot{.title = "Conflict of the tasks' gradients",
            .subtitle = shown_text(groups, {}, "bands") + "; a cosine below 0 is a conflict",
            .num_columns = kConflictMeasures.size(),
            .panels = {}};
  const std::int64_t num_epochs = most_epochs(groups);
  const task::Tasks tasks = tasks_of(groups);
  for (auto one = tasks.begin(); one != tasks.end(); ++one) {
    for (auto other = std::next(one); other != tasks.end(); ++other) {
      for (const ConflictMeasure& measure : kConflictMeasures) {
        Panel panel{.x_label = "Epoch",
                    .y_label = fmt::format("{} and {}: {}", title_of(*one), other->name, measure.y_label),
                    .x_tics = epoch_tics(num_epochs),
                    .series = {}};
        if (measure.has_zero_line) {
          panel.series.push_back({.name = "",
                                  .kind = SeriesKind::reference,
                                  .points = {{.x = 1.0, .y = 0.0}, {.x = static_cast<double>(num_epochs), .y = 0.0}}});
        }
        for (std::size_t i = 0; i < groups.size(); ++i) {
          Series series{.name = names[i], .kind = SeriesKind::curve, .style = i, .points = {}};
          // Under the name that the run's order of the tasks gives.
          for (const bool is_swapped : {false, true}) {
            const task::Task& first = is_swapped ? *other : *one;
            const std::vector<PlotPoint> points = mean_curve(
                histories[i][first.key],
                [&measure](const run::EpochRecord& record) -> const std::map<std::string, double>& {
                  return conflicts_of(record, measure.key);
                },
                fmt::format("{},{}", first.key, (is_swapped ? *one : *other).key),
                [&measure, is_swapped](double value) { return measure.shown(value, is_swapped); });
            series.points.insert(series.points.end(), points.begin(), points.end());
          }
          panel.series.push_back(std::move(series));
        }
        plot.panels.push_back(std::move(panel));
      }
    }
  }
  return plot;
}

}  // namespace xtasc::report
