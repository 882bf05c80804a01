#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "results/table.hpp"

namespace xtasc::results {

/// The tables as Markdown that also reads well on a terminal: mIoU and PixAcc in percent, what all rows share in a line
/// above each table, what differs (seed, epochs, precision, ...) in columns of its own, footnotes below; last the runs
/// that are in no table, with the reasons.
[[nodiscard]] std::string to_markdown(std::string_view title, std::span<const Table> tables,
                                      std::span<const LeftOutRun> left_out);

/// A Markdown table with padded columns. \param cells  the header's row first; all rows of its length. Empty: no text.
/// \param num_text_columns  so many columns from the left are aligned left, the others (numbers) right
[[nodiscard]] std::string markdown_table(const std::vector<std::vector<std::string>>& cells,
                                         std::size_t num_text_columns);

}  // namespace xtasc::results
