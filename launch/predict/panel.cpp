#include "launch/predict/panel.hpp"

#include <optional>

#include "figure/task_panel.hpp"

namespace xtasc::launch {

namespace {

std::optional<figure::Map> drawn(const MapByTask& maps, const task::Task& task) {
  const auto found = maps.find(task.key);
  if (found == maps.end()) {
    return std::nullopt;
  }
  return task.kind == task::Kind::classes ? figure::Map(found->second.classes) : figure::Map(found->second.values);
}

}  // namespace

void write_picture(const std::vector<Row>& rows, const task::Tasks& tasks, const DataFacts& facts,
                   const std::filesystem::path& path) {
  const task::Tasks shown_tasks = figure::drawn_tasks(tasks);
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
  figure::write_panel(path, panel,
                      figure::task_panel(shown_tasks, {facts.class_names, facts.class_colors}, facts.depth_unit,
                                         facts.height, facts.width));
}

}  // namespace xtasc::launch
