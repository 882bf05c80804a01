#include "launch/predict/panel.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

#include "figure/panel.hpp"

namespace xtasc::launch {

namespace {

figure::PanelOptions panel_options(const task::Tasks& tasks, const DataFacts& facts) {
  figure::PanelOptions options{
      .height = facts.height,
      .width = facts.width,
      .columns = {},
      .palettes = {{facts.class_names, facts.class_colors}},
      .scales = {},
  };
  for (const task::Task& task : tasks) {
    const KindOutput& output = output_of(task);
    const bool has_scale = output.drawn == figure::MapKind::numbers;
    if (has_scale) {
      const bool is_depth = std::ranges::count(task.metrics, task::kDepthUnit, &task::Metric::unit) > 0;
      options.scales.push_back({!is_depth                 ? std::string(task.name)
                                : facts.depth_unit == "m" ? "depth [m]"
                                                          : facts.depth_unit});
    }
    for (const bool is_truth : {true, false}) {
      options.columns.push_back(
          {.head = fmt::format("{}{}: {}", task.truth, output.plural, is_truth ? "truth" : "predicted"),
           .part = fmt::format("the {} {}", is_truth ? "true" : "predicted", task.truth),
           .kind = output.drawn,
           .paint = has_scale ? options.scales.size() - 1 : 0,
           .has_invalid = is_truth && output.drawn != figure::MapKind::classes});
    }
  }
  return options;
}

std::optional<figure::Map> drawn(const MapByTask& maps, const task::Task& task) {
  const auto found = maps.find(task.key);
  if (found == maps.end()) {
    return std::nullopt;
  }
  return output_of(task).drawn == figure::MapKind::classes ? figure::Map(found->second.classes)
                                                           : figure::Map(found->second.values);
}

}  // namespace

void write_picture(const std::vector<Row>& rows, const task::Tasks& tasks, const DataFacts& facts,
                   const std::filesystem::path& path) {
  task::Tasks shown_tasks;
  std::ranges::copy_if(tasks, std::back_inserter(shown_tasks), [](const task::Task& task) {
    return task.channels < 2 || output_of(task).drawn == figure::MapKind::normals;
  });
  std::vector<figure::PanelRow> panel;
  for (const Row& row : rows) {
    figure::PanelRow& shown = panel.emplace_back();
    shown.caption = row.title;
    shown.image = row.rgb;
    for (const task::Task& task : shown_tasks) {
      shown.maps.push_back(drawn(row.truth, task));
      shown.maps.push_back(drawn(row.predicted, task));
    }
  }
  figure::write_panel(path, panel, panel_options(shown_tasks, facts));
}

}  // namespace xtasc::launch
