#include <map>
#include <utility>

#include "core/error.hpp"
#include "report/axis_groups.hpp"
#include "report/plot/figure_lines.hpp"
#include "report/plot/figures.hpp"
#include "report/series_names.hpp"

namespace xtasc::report {

namespace {

/// Which labels training images keep. Ordered as on the axis: shares from the largest, then one task's labels alone.
struct KeptLabelsPlace {
  bool has_one_label = false;
  double lost_share = 0.0;

  explicit KeptLabelsPlace(const config::DataSection& data)
      : has_one_label(data.one_label), lost_share(1.0 - data.label_share) {}

  [[nodiscard]] auto operator<=>(const KeptLabelsPlace&) const = default;
};

std::string text_of(const config::DataSection& data) {
  const std::string share = fmt::format("{}", data.label_share);
  return !data.one_label ? share : data.label_share == 1.0 ? "one label" : "one label,\n" + share;
}

}  // namespace

Plot labels_plot(std::span<const SeedGroup> all, Protocol protocol, Checkpoint checkpoint) {
  check(!all.empty(), "no finished run to draw");
  const std::vector<SeedGroup> groups = along_labels(all);
  std::map<KeptLabelsPlace, Tic> tics;
  for (const SeedGroup& group : groups) {
    const config::DataSection& data = group.first().config.data;
    tics.emplace(KeptLabelsPlace(data), Tic{.at = 0.0, .text = text_of(data)});
  }
  check(tics.size() > 1,
        "all finished runs have data.label_share = {} and data.one_label = {}: two values of one of them are needed, "
        "e.g. the runs of sweeps/partial_scenes.toml",
        groups.front().first().config.data.label_share, groups.front().first().config.data.one_label);
  Panel axis{.x_label = "Share of images with the labels of a task",
             .y_label = "",
             .x_min = -0.4,
             .x_max = static_cast<double>(tics.size()) - 0.6,
             .series = {}};
  for (auto& [place, tic] : tics) {
    tic.at = static_cast<double>(axis.x_tics.size());
    axis.x_tics.push_back(tic);
  }
  const std::vector<std::string> names = series_names(groups, {"data.label_share", "data.one_label"});
  std::vector<Line> lines;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (!groups[i].is_lone_part) {
      const KeptLabelsPlace place(groups[i].first().config.data);
      Line& line = line_named(lines, names[i]);
      line.kind = SeriesKind::curve;
      line.groups.push_back({&groups[i], tics.at(place).at});
    }
  }
  give_styles(lines);
  return plot_of("Metrics over the labels that training images keep", panels_of(axis, lines, {}, groups), groups,
                 protocol, checkpoint, "bands");
}

}  // namespace xtasc::report
