#pragma once

#include <cstdint>
#include <string>

#include "figure/panel.hpp"
#include "task/task.hpp"

namespace xtasc::figure {

/// How a task's maps are painted. \throws Error for a kind that cannot be drawn
[[nodiscard]] MapKind map_kind_of(const task::Task& task);

/// Those that can be drawn: all but those of several numbers a pixel that are no normals.
[[nodiscard]] task::Tasks drawn_tasks(const task::Tasks& tasks);

/// The columns of a panel with truth and prediction of each task side by side, and what they are painted with.
/// \param tasks  that can be drawn \param depth_unit  "m", or what is said in its place
[[nodiscard]] PanelOptions task_panel(const task::Tasks& tasks, Palette palette, const std::string& depth_unit,
                                      std::int64_t height, std::int64_t width);

}  // namespace xtasc::figure
