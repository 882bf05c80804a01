#include <fmt/format.h>

#include <algorithm>

#include "core/text_table.hpp"
#include "report/sheet.hpp"

namespace xtasc::report {

namespace {

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
