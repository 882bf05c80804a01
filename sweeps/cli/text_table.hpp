#pragma once

#include <string>
#include <vector>

namespace xtasc::sweeps {

/// Columns side by side, the first row their headers; without spaces at the ends of lines.
[[nodiscard]] std::string text_table(const std::vector<std::vector<std::string>>& cells);

}  // namespace xtasc::sweeps
