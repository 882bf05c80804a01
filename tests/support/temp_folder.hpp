#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "core/temp_folder.hpp"

namespace xtasc::test {

/// A folder of its own for one test.
class TempFolder : public xtasc::TempFolder {
 public:
  TempFolder() : xtasc::TempFolder({}, "xtasc-test") {}

  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path() / name; }
  /// Names of all entries, hidden ones too, sorted.
  [[nodiscard]] std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path())) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
};

}  // namespace xtasc::test
