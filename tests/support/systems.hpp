#pragma once

#include <string>
#include <vector>

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

}  // namespace xtasc::test
