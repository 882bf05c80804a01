#include "report/plot/figure_lines.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/error.hpp"
#include "report/metric_columns.hpp"
#include "report/series_names.hpp"

namespace xtasc::report {

namespace {

struct MetricPanel {
  std::string key;
  std::string y_label;
  double factor = 1.0;

  [[nodiscard]] bool is_delta_m() const { return key == "delta_m"; }
  /// In the unit of the axis. The paper's tables have two metrics a task: both means are one.
  [[nodiscard]] std::optional<double> published(const PublishedRow& row, const DeltaForm& form) const {
    if (!is_delta_m()) {
      return value_of(row.metrics, key);
    }
    return row.delta_m && form.lower_is_better() ? std::optional(0.0 - *row.delta_m) : row.delta_m;
  }
};

/// The first task's metrics, Delta_m, the other tasks' metrics.
std::vector<MetricPanel> metric_panels(const task::Tasks& tasks, const SeedGroup& first) {
  const run::Provenance& from = first.first().provenance;
  std::vector<MetricPanel> panels;
  for (const task::Task& task : tasks) {
    for (const task::Metric& metric : task.metrics) {
      panels.push_back({std::string(metric.key), axis_label(metric, from), metric.factor});
    }
    if (task.key == tasks.front().key) {
      panels.push_back({"delta_m", delta_m_axis(first.delta_form)});
    }
  }
  return panels;
}

Series series_of(const Line& line, const MetricPanel& panel, double x_min, double x_max) {
  Series series{.name = line.name, .kind = line.kind, .style = line.style, .points = {}};
  for (const Placed& placed : line.groups) {
    const std::optional<Moments> of = moments_of(*placed.group, panel.key);
    if (!of) {
      continue;
    }
    const std::optional<double> deviation = of->deviation ? std::optional(*of->deviation * panel.factor) : std::nullopt;
    if (line.kind == SeriesKind::reference) {
      series.points.push_back({.x = x_min, .y = of->mean * panel.factor, .deviation = {}});
      series.points.push_back({.x = x_max, .y = of->mean * panel.factor, .deviation = {}});
    } else {
      series.points.push_back({.x = placed.x, .y = of->mean * panel.factor, .deviation = deviation});
    }
  }
  std::ranges::sort(series.points, {}, &PlotPoint::x);
  return series;
}

}  // namespace

std::vector<Panel> panels_of(const Panel& axis, const std::vector<Line>& lines,
                             const std::vector<PublishedPoint>& published, std::span<const SeedGroup> groups) {
  std::vector<Panel> panels;
  for (const MetricPanel& metric : metric_panels(tasks_of(groups), groups.front())) {
    Panel panel = axis;
    panel.y_label = metric.y_label;
    bool has_any = false;
    for (const Line& line : lines) {
      panel.series.push_back(series_of(line, metric, *axis.x_min, *axis.x_max));
      has_any = has_any || (line.kind != SeriesKind::reference && !panel.series.back().points.empty());
    }
    for (const PublishedPoint& point : published) {
      const std::optional<double> y = metric.published(*point.row, groups.front().delta_form);
      Series series{.name = point.name, .kind = SeriesKind::published, .style = point.style, .points = {}};
      if (y) {
        series.points.push_back({.x = point.x, .y = *y, .deviation = {}});
      }
      panel.series.push_back(std::move(series));
    }
    if (has_any || !metric.is_delta_m()) {
      panels.push_back(std::move(panel));
    }
  }
  return panels;
}

void give_styles(std::vector<Line>& lines) {
  std::size_t style = 0;
  for (Line& line : lines) {
    line.style = line.kind == SeriesKind::reference ? 0 : style++;
  }
  check(style <= kNumStyles, "{} series, and a figure can tell {} apart: give fewer run folders, e.g. one sweep's",
        style, kNumStyles);
}

void spread_lines(std::vector<Line>& lines, const std::function<double(double x, double offset)>& moved) {
  const auto num_lines = static_cast<double>(
      std::ranges::count_if(lines, [](const Line& line) { return line.kind == SeriesKind::measured; }));
  for (Line& line : lines) {
    for (Placed& placed : line.groups) {
      placed.x =
          num_lines < 2.0 ? placed.x : moved(placed.x, static_cast<double>(line.style) / (num_lines - 1.0) - 0.5);
    }
  }
}

Line& line_named(std::vector<Line>& lines, const std::string& name) {
  const auto found = std::ranges::find(lines, name, &Line::name);
  return found != lines.end() ? *found : lines.emplace_back(Line{.name = name, .groups = {}});
}

Plot plot_of(std::string title, std::vector<Panel> panels, std::span<const SeedGroup> groups, Protocol protocol,
             Checkpoint checkpoint, std::string_view spread) {
  return {.title = std::move(title),
          .subtitle = fmt::format("{}; {}", shown_text(groups, protocol, spread), text_of(checkpoint)),
          .num_columns = panels.size() > 4 ? 3UL : 2UL,
          .panels = std::move(panels)};
}

}  // namespace xtasc::report
