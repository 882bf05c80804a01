#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"

namespace xtasc::test {

/// What makes a config of the system's row: its word, and tasks where the row wants others than the default.
inline std::vector<std::string> assignments_of(const config::System& row) {
  std::vector<std::string> assignments = {fmt::format("model.system={}", row.word)};
  if (row.tasks.empty() && row.num_tasks[1] == 1) {
    assignments.emplace_back("model.tasks=[\"segmentation\"]");
  }
  return assignments;
}

/// The same and more.
inline std::vector<std::string> assignments_of(std::string_view word, const std::vector<std::string>& more) {
  std::vector<std::string> assignments = assignments_of(config::system_of(word));
  assignments.insert(assignments.end(), more.begin(), more.end());
  return assignments;
}

/// The system of that word with the tasks that its row has, or that model.tasks has by default.
inline const config::System& system_named(std::string_view word) {
  config::ModelSection section;
  section.system = word;
  return config::system_of(section);
}

}  // namespace xtasc::test
