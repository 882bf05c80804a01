#include "core/text_table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace xtasc {

namespace {

using Cells = std::vector<std::vector<std::string>>;

/// The longest cell of each column, at least `least`.
std::vector<std::size_t> widths_of(const Cells& cells, std::size_t least) {
  std::vector<std::size_t> widths;
  for (const auto& row : cells) {
    widths.resize(std::max(widths.size(), row.size()), least);
    for (std::size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], row[column].size());
    }
  }
  return widths;
}

/// A Markdown cell on one line, whatever a name holds.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    result += c == '|' ? "\\|" : c == '\n' || c == '\r' ? " " : std::string(1, c);
  }
  return result;
}

}  // namespace

std::string text_table(const Cells& cells, std::size_t num_text_columns) {
  const std::vector<std::size_t> widths = widths_of(cells, 0);
  std::string text;
  for (const auto& row : cells) {
    std::string line;
    for (std::size_t column = 0; column < row.size(); ++column) {
      line += column < num_text_columns ? fmt::format("{:<{}}  ", row[column], widths[column])
                                        : fmt::format("{:>{}}  ", row[column], widths[column]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string markdown_table(const Cells& cells, std::size_t num_text_columns) {
  Cells shown = cells;
  for (auto& row : shown) {
    std::ranges::transform(row, row.begin(), escaped);
  }
  const std::vector<std::size_t> widths = widths_of(shown, 3);
  std::string text;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    for (std::size_t column = 0; column < widths.size(); ++column) {
      const bool is_text = column < num_text_columns;
      text += is_text ? fmt::format("| {:<{}} ", shown[i][column], widths[column])
                      : fmt::format("| {:>{}} ", shown[i][column], widths[column]);
    }
    text += "|\n";
    for (std::size_t column = 0; i == 0 && column < widths.size(); ++column) {
      const std::string dashes(widths[column] - 1, '-');
      text += column < num_text_columns ? "| :" + dashes + " " : "| " + dashes + ": ";
    }
    text += i == 0 ? "|\n" : "";
  }
  return text;
}

}  // namespace xtasc
