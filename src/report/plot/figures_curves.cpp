#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string_view>

#include "config/systems.hpp"
#include "core/error.hpp"
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
                                  std::string_view key, double factor) {
  std::map<std::int64_t, std::vector<double>> by_epoch;
  for (const std::vector<run::EpochRecord>& records : seeds) {
    for (const run::EpochRecord& record : records) {
      if (const std::optional<double> value = value_of(values(record), key)) {
        by_epoch[record.epoch].push_back(*value * factor);
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

}  // namespace

Plot curves_plot(std::span<const SeedGroup> groups, Protocol protocol) {
  check(!groups.empty(), "no finished run to draw");
  check(groups.size() <= kNumStyles, "{} nets, and a figure can tell {} apart: give fewer run folders", groups.size(),
        kNumStyles);
  const std::vector<std::string> names = series_names(groups, {});
  Plot plot{.title = "Training curves",
            .subtitle = shown_text(groups, protocol, "bands") + "; losses: solid validation, dashed training",
            .num_columns = 3,
            .panels = {}};
  std::vector<Histories> histories;
  std::int64_t num_epochs = 1;
  for (const SeedGroup& group : groups) {
    histories.push_back(read_histories(group));
    num_epochs = std::max(num_epochs, group.first().last.epoch);
  }
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
                .x_tics = epoch_tics(num_epochs),
                .x_min = {},
                .x_max = {},
                .series = {}};
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const auto& seeds = histories[i][of.task];
      if (of.is_loss) {
        panel.series.push_back({.name = "",
                                .kind = SeriesKind::faint,
                                .style = i,
                                .points = mean_curve(seeds, train_loss, of.key, of.factor)});
      }
      panel.series.push_back({.name = names[i],
                              .kind = SeriesKind::curve,
                              .style = i,
                              .points = mean_curve(seeds, of.is_loss ? val_loss : metrics, of.key, of.factor)});
    }
    plot.panels.push_back(std::move(panel));
  }
  return plot;
}

}  // namespace xtasc::report
