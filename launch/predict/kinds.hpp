#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "model/task_map.hpp"
#include "task/task.hpp"

namespace xtasc::launch {

using MapByTask = std::map<std::string_view, model::TaskMap>;  ///< by the task's key

/// How a kind of task is written.
struct KindOutput {
  task::Kind kind;
  /// Writes the files STEM and each of `endings`, atomically. \param stem  of their names
  void (*write)(const model::TaskMap& map, const std::string& stem, std::int64_t channels, std::int64_t height,
                std::int64_t width);
  std::span<const std::string_view> endings;
};

/// \throws Error when its kind is in no row here
[[nodiscard]] const KindOutput& output_of(const task::Task& task);

/// What the files of a task's results are called behind the picture's own name: "_label".
[[nodiscard]] std::string name_ending(const task::Task& task);

}  // namespace xtasc::launch
