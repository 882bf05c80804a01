#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "core/error.hpp"
#include "core/nearest.hpp"
#include "report/axes_sheet.hpp"
#include "report/metric_columns.hpp"
#include "report/plot/figures.hpp"
#include "report/series_names.hpp"

namespace xtasc::report {

namespace {

constexpr const char* kFrontName = "not dominated (hollow: dominated)";

/// Of each task the metric that was asked for, or its first.
std::vector<task::Metric> metrics_of_axes(const task::Tasks& tasks, const std::vector<std::string>& chosen) {
  std::vector<std::string> known;
  for (const task::Metric& metric : metrics_of(tasks)) {
    known.emplace_back(metric.key);
  }
  for (const std::string& key : chosen) {
    if (std::ranges::find(known, key) == known.end()) {
      fail_usage("--metrics: these runs' tasks have no metric \"{}\"; {}", key, did_you_mean(key, known));
    }
  }
  std::vector<task::Metric> axes;
  for (const task::Task& task : tasks) {
    std::vector<task::Metric> of_task;
    std::ranges::copy_if(task.metrics, std::back_inserter(of_task), [&chosen](const task::Metric& metric) {
      return std::ranges::find(chosen, metric.key) != chosen.end();
    });
    if (of_task.size() > 1) {
      fail_usage("--metrics: {} and {} are both of {}, which has one axis", of_task[0].key, of_task[1].key, task.name);
    }
    axes.push_back(of_task.empty() ? task.metrics.front() : of_task.front());
  }
  return axes;
}

/// A net in a panel.
struct NetOfPanel {
  std::size_t method;  ///< which name it has
  Moments x, y;
};

bool is_at_least(const task::Metric& metric, double a, double b) {
  return metric.higher_is_better ? a >= b : a <= b;
}

double worse(const task::Metric& metric, double a, double b) {
  return metric.higher_is_better ? std::min(a, b) : std::max(a, b);
}

/// Whether another net is as good in both and better in one.
bool is_dominated(const NetOfPanel& net, const std::vector<NetOfPanel>& nets, const task::Metric& x,
                  const task::Metric& y) {
  return std::ranges::any_of(nets, [&](const NetOfPanel& other) {
    return is_at_least(x, other.x.mean, net.x.mean) && is_at_least(y, other.y.mean, net.y.mean) &&
           (other.x.mean != net.x.mean || other.y.mean != net.y.mean);
  });
}

PlotPoint point_of(const NetOfPanel& net, const task::Metric& x, const task::Metric& y) {
  const auto in_unit = [](const std::optional<double>& deviation, double factor) {
    return deviation ? std::optional(*deviation * factor) : std::nullopt;
  };
  return {.x = net.x.mean * x.factor,
          .y = net.y.mean * y.factor,
          .deviation = in_unit(net.y.deviation, y.factor),
          .x_deviation = in_unit(net.x.deviation, x.factor)};
}

/// The edge of what the nets dominate: from each to the next by the corner that both are at least as good as.
Series front_of(std::vector<NetOfPanel> nets, const task::Metric& x, const task::Metric& y) {
  std::ranges::sort(nets, {}, [](const NetOfPanel& net) { return std::pair(net.x.mean, net.y.mean); });
  Series front{.name = kFrontName, .kind = SeriesKind::edge, .points = {}};
  for (std::size_t i = 0; i < nets.size(); ++i) {
    if (i > 0) {
      front.points.push_back({.x = worse(x, nets[i - 1].x.mean, nets[i].x.mean) * x.factor,
                              .y = worse(y, nets[i - 1].y.mean, nets[i].y.mean) * y.factor});
    }
    front.points.push_back({.x = nets[i].x.mean * x.factor, .y = nets[i].y.mean * y.factor});
  }
  return front;
}

/// Room on both sides of the points and their bars.
void set_range(Panel& panel) {
  double least = std::numeric_limits<double>::infinity();
  double most = -least;
  for (const Series& series : panel.series) {
    for (const PlotPoint& point : series.points) {
      least = std::min(least, point.x - point.x_deviation.value_or(0.0));
      most = std::max(most, point.x + point.x_deviation.value_or(0.0));
    }
  }
  if (least > most) {
    return;  // no point
  }
  const double room = most > least ? 0.06 * (most - least) : most == 0.0 ? 1.0 : 0.06 * std::abs(most);
  panel.x_min = least - room;
  panel.x_max = most + room;
}

Panel front_panel(const std::vector<NetOfPanel>& nets, const std::vector<std::string>& methods, const task::Metric& x,
                  const task::Metric& y) {
  std::vector<NetOfPanel> best;
  Panel panel{.x_label = "", .y_label = "", .series = {{}}};
  for (std::size_t method = 0; method < methods.size(); ++method) {
    Series filled{.name = methods[method], .kind = SeriesKind::point, .style = method, .points = {}};
    Series hollow{.name = "", .kind = SeriesKind::hollow, .style = method, .points = {}};
    for (const NetOfPanel& net : nets) {
      if (net.method != method) {
        continue;
      }
      if (is_dominated(net, nets, x, y)) {
        hollow.points.push_back(point_of(net, x, y));
      } else {
        filled.points.push_back(point_of(net, x, y));
        best.push_back(net);
      }
    }
    panel.series.push_back(std::move(filled));
    panel.series.push_back(std::move(hollow));
  }
  panel.series.front() = front_of(std::move(best), x, y);  // behind the markers
  set_range(panel);
  return panel;
}

/// Each name once, in the order in which they first come.
std::vector<std::string> each_once(const std::vector<std::string>& names) {
  std::vector<std::string> once;
  std::ranges::copy_if(names, std::back_inserter(once),
                       [&once](const std::string& name) { return std::ranges::find(once, name) == once.end(); });
  return once;
}

}  // namespace

Plot front_plot(std::span<const SeedGroup> groups, const std::vector<std::string>& metrics, Protocol protocol,
                Checkpoint checkpoint) {
  check(!groups.empty(), "no finished run to draw");
  const task::Tasks tasks = tasks_of(groups);
  const std::vector<task::Metric> axes = metrics_of_axes(tasks, metrics);
  // A marker a method: nets of one model, encoder and weighting share it, in whatever else they differ.
  const std::vector<std::string> names = series_names(groups, keys_that_tell_apart(groups, model_columns()));
  const std::vector<std::string> methods = each_once(names);
  check(methods.size() <= kNumPointStyles, "{} methods, and a figure can tell {} apart: give fewer run folders",
        methods.size(), kNumPointStyles);
  const run::Provenance& from = groups.front().first().provenance;
  Plot plot{.title = "What one task gains at the cost of another",
            .subtitle = fmt::format("{}; {}", shown_text(groups, protocol, "bars"), text_of(checkpoint)),
            .panels = {}};
  for (auto x = axes.begin(); x != axes.end(); ++x) {
    for (auto y = std::next(x); y != axes.end(); ++y) {
      std::vector<NetOfPanel> nets;
      for (std::size_t i = 0; i < groups.size(); ++i) {
        const std::optional<Moments> of_x = moments_of(groups[i], x->key);
        const std::optional<Moments> of_y = moments_of(groups[i], y->key);
        if (of_x && of_y) {
          const auto method = std::ranges::find(methods, names[i]) - methods.begin();
          nets.push_back({static_cast<std::size_t>(method), *of_x, *of_y});
        }
      }
      plot.panels.push_back(front_panel(nets, methods, *x, *y));
      plot.panels.back().x_label = axis_label(*x, from);
      plot.panels.back().y_label = axis_label(*y, from);
    }
  }
  check(std::ranges::any_of(plot.panels, [](const Panel& panel) { return !panel.series.front().points.empty(); }),
        "no finished net has two tasks: a front is of what one gains at the cost of the other");
  return plot;
}

}  // namespace xtasc::report
