#include "figure/task_panel.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/error.hpp"

namespace xtasc::figure {

MapKind map_kind_of(const task::Task& task) {
  switch (task.kind) {
    case task::Kind::classes:
      return MapKind::classes;
    case task::Kind::depth:
      return MapKind::numbers;
    case task::Kind::unit_vector:
      return MapKind::normals;
  }
  fail("task \"{}\" is of no kind that can be drawn", task.key);
}

task::Tasks drawn_tasks(const task::Tasks& tasks) {
  task::Tasks drawn;
  std::ranges::copy_if(tasks, std::back_inserter(drawn), [](const task::Task& task) {
    return task.channels < 2 || map_kind_of(task) == MapKind::normals;
  });
  return drawn;
}

PanelOptions task_panel(const task::Tasks& tasks, Palette palette, const std::string& depth_unit, std::int64_t height,
                        std::int64_t width) {
  PanelOptions options = {
      .height = height, .width = width, .columns = {}, .palettes = {std::move(palette)}, .scales = {}};
  for (const task::Task& task : tasks) {
    const MapKind kind = map_kind_of(task);
    const bool has_scale = kind == MapKind::numbers;
    if (has_scale) {
      const bool is_depth = std::ranges::count(task.metrics, task::kDepthUnit, &task::Metric::unit) > 0;
      options.scales.push_back({!is_depth ? std::string(task.name) : depth_unit == "m" ? "depth [m]" : depth_unit});
    }
    for (const bool is_truth : {true, false}) {
      options.columns.push_back({.head = fmt::format("{}{}: {}", task.truth, kind == MapKind::classes ? "s" : "",
                                                     is_truth ? "truth" : "predicted"),
                                 .part = fmt::format("the {} {}", is_truth ? "true" : "predicted", task.truth),
                                 .kind = kind,
                                 .paint = has_scale ? options.scales.size() - 1 : 0,
                                 .has_invalid = is_truth && kind != MapKind::classes});
    }
  }
  return options;
}

}  // namespace xtasc::figure
