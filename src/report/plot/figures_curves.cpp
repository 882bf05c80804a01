#include <algorithm>
#include <functional>
#include <map>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "report/plot/figures.hpp"
#include "report/series_names.hpp"
#include "report/table_markdown.hpp"
#include "run/run_folder.hpp"

namespace xtasc::report {

namespace {

/// The histories of a group's runs: one list a seed, for Base ST-Net of both halves.
struct Histories {
  std::vector<std::vector<run::EpochRecord>> segmentation, depth;  ///< by seed: of the run that has the task
};

Histories read_histories(const SeedGroup& group) {
  Histories histories;
  for (const SeedResult& seed : group.seeds) {
    for (const run::RunSummary* run : seed.runs) {
      const std::vector<run::EpochRecord> records =
          run::read_metrics(run::RunFolder{run->folder}.metrics(), run::digests_of(run->config));
      if (config::system_of(run->config.model.system).has("seg")) {
        histories.segmentation.push_back(records);
      }
      if (config::system_of(run->config.model.system).has("depth")) {
        histories.depth.push_back(records);
      }
    }
  }
  return histories;
}

using Values = std::function<const std::map<std::string, double>&(const run::EpochRecord&)>;

/// Mean and deviation over the seeds, epoch by epoch.
std::vector<PlotPoint> mean_curve(const std::vector<std::vector<run::EpochRecord>>& seeds, const Values& values,
                                  const std::string& key, double factor) {
  std::map<std::int64_t, std::vector<double>> by_epoch;
  for (const std::vector<run::EpochRecord>& records : seeds) {
    for (const run::EpochRecord& record : records) {
      const auto& of_record = values(record);
      if (const auto found = of_record.find(key); found != of_record.end()) {
        by_epoch[record.epoch].push_back(found->second * factor);
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
  bool is_depth;
  bool is_loss;
  const char* key;
  double factor;
};

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
  const std::vector<CurvePanel> panels = {
      {"Segmentation loss", false, true, "seg", 1.0},
      {"mIoU (%), higher is better", false, false, "miou", 100.0},
      {"PixAcc (%), higher is better", false, false, "pix_acc", 100.0},
      {"Depth loss", true, true, "depth", 1.0},
      {abs_err_header(groups.front().first().provenance) + ", lower is better", true, false, "abs_err", 1.0},
      {"RelErr (ratio), lower is better", true, false, "rel_err", 1.0}};
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
  for (const CurvePanel& of : panels) {
    Panel panel{.x_label = "Epoch",
                .y_label = of.y_label,
                .x_tics = epoch_tics(num_epochs),
                .x_min = {},
                .x_max = {},
                .series = {}};
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const auto& seeds = of.is_depth ? histories[i].depth : histories[i].segmentation;
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
