#include <algorithm>

#include "core/error.hpp"
#include "report/sheet.hpp"

namespace xtasc::report {

namespace {

/// A Markdown cell on one line, whatever a name holds.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    result += c == '|' ? "\\|" : c == '\n' || c == '\r' ? " " : std::string(1, c);
  }
  return result;
}

std::string shown(const Cell& cell) {
  std::string text = cell.is_best ? fmt::format("**{}**", cell.text) : cell.text;
  for (const std::size_t footnote : cell.footnotes) {
    text += fmt::format(" [{}]", footnote + 1);
  }
  return text;
}

std::string sheet_text(const Sheet& sheet) {
  std::vector<std::vector<std::string>> cells(1);
  std::size_t num_text_columns = 0;
  for (const Column& column : sheet.columns) {
    cells[0].push_back(column.header);
    num_text_columns += column.is_text && num_text_columns + 1 == cells[0].size() ? 1 : 0;
  }
  for (const SheetRow& row : sheet.rows) {
    cells.emplace_back();
    std::ranges::transform(row.cells, std::back_inserter(cells.back()), shown);
  }
  std::string text =
      fmt::format("\n## {}\n\n{}\n\n{}", sheet.title, sheet.caption, markdown_table(cells, num_text_columns));
  for (std::size_t i = 0; i < sheet.footnotes.size(); ++i) {
    text += fmt::format("{}- [{}] {}.\n", i == 0 ? "\n" : "", i + 1, sheet.footnotes[i]);
  }
  for (std::size_t i = 0; i < sheet.remarks.size(); ++i) {
    text += fmt::format("{}- {}.\n", i == 0 ? "\n" : "", sheet.remarks[i]);
  }
  return text;
}

}  // namespace

std::string markdown_table(const std::vector<std::vector<std::string>>& cells, std::size_t num_text_columns) {
  std::vector<std::size_t> widths;
  std::vector<std::vector<std::string>> escaped_cells;
  for (const auto& row : cells) {
    widths.resize(std::max(widths.size(), row.size()), 3);
    escaped_cells.emplace_back();
    for (std::size_t column = 0; column < row.size(); ++column) {
      escaped_cells.back().push_back(escaped(row[column]));
      widths[column] = std::max(widths[column], escaped_cells.back().back().size());
    }
  }
  std::string text;
  for (std::size_t i = 0; i < escaped_cells.size(); ++i) {
    for (std::size_t column = 0; column < widths.size(); ++column) {
      const bool is_text = column < num_text_columns;
      text += is_text ? fmt::format("| {:<{}} ", escaped_cells[i][column], widths[column])
                      : fmt::format("| {:>{}} ", escaped_cells[i][column], widths[column]);
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

std::string to_markdown(std::string_view title, std::span<const Sheet> sheets,
                        std::span<const run::LeftOutRun> left_out) {
  std::string text = title.empty() ? "" : fmt::format("# {}\n", title);
  for (const Sheet& sheet : sheets) {
    text += sheet_text(sheet);
  }
  if (!left_out.empty()) {
    text += "\n## Left out\n\n";
    for (const run::LeftOutRun& run : left_out) {
      text += fmt::format("- {}: {}\n", run.folder.string(), run.reason);
    }
  }
  return text;
}

}  // namespace xtasc::report
