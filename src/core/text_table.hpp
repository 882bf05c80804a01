#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace xtasc {

/// Columns side by side, for a terminal. \param cells  the header's row first. No spaces at the ends of lines.
/// \param num_text_columns  so many columns from the left are aligned left, the others (numbers) right
[[nodiscard]] std::string text_table(const std::vector<std::vector<std::string>>& cells,
                                     std::size_t num_text_columns = std::numeric_limits<std::size_t>::max());

/// A Markdown table with padded columns. \param cells  the header's row first; all rows of its length. Empty: no text.
/// \param num_text_columns  so many columns from the left are aligned left, the others (numbers) right
[[nodiscard]] std::string markdown_table(const std::vector<std::vector<std::string>>& cells,
                                         std::size_t num_text_columns);

}  // namespace xtasc
