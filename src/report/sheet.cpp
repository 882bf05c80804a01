#include "report/sheet.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "report/table_csv.hpp"

namespace xtasc::report {

namespace {

/// Without a sign where rounding left nothing: never "-0.00".
std::string fixed(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", value, decimals);
  return text.starts_with('-') && text.find_first_of("123456789") == std::string::npos ? text.substr(1) : text;
}

/// Every column of every sheet, each key once, in the order in which they first come.
std::vector<Column> all_columns(std::span<const Sheet> sheets) {
  std::vector<Column> columns;
  for (const Sheet& sheet : sheets) {
    for (const Column& column : sheet.columns) {
      const auto found = std::ranges::find(columns, column.key, &Column::key);
      if (found == columns.end()) {
        columns.push_back(column);
      } else {
        found->has_deviation = found->has_deviation || column.has_deviation;
      }
    }
  }
  std::ranges::stable_partition(columns, &Column::is_text);  // what a row is, then its figures
  return columns;
}

std::string csv_number(const std::optional<double>& value) {
  return value ? fmt::format("{}", *value) : "";
}

std::string csv_line(const Sheet& sheet, const SheetRow& row, const std::vector<Column>& columns) {
  std::string line = csv_field(sheet.label);
  std::vector<std::string> notes;
  for (const Column& column : columns) {
    const auto own = std::ranges::find(sheet.columns, column.key, &Column::key);
    const Cell* cell = own == sheet.columns.end()
                           ? nullptr
                           : &row.cells.at(static_cast<std::size_t>(std::distance(sheet.columns.begin(), own)));
    const std::string text = cell == nullptr  ? ""
                             : column.is_text ? (cell->text == "-" ? "" : cell->text)
                                              : csv_number(cell->value);
    line += ',' + csv_field(text);
    line += column.has_deviation ? ',' + (cell == nullptr ? "" : csv_number(cell->deviation)) : "";
    if (cell != nullptr) {
      for (const std::size_t footnote : cell->footnotes) {
        notes.push_back(sheet.footnotes.at(footnote));
      }
    }
  }
  return line + ',' + csv_field(fmt::format("{}", fmt::join(notes, "; "))) + '\n';
}

}  // namespace

std::size_t Sheet::add_footnote(const std::string& text) {
  const auto found = std::ranges::find(footnotes, text);
  const auto index = static_cast<std::size_t>(std::distance(footnotes.begin(), found));
  if (found == footnotes.end()) {
    footnotes.push_back(text);
  }
  return index;
}

Cell text_cell(std::string text) {
  return {.text = std::move(text)};
}

Cell number_cell(const std::optional<double>& value, int decimals, double factor) {
  return moments_cell(value ? std::optional(Moments{.mean = *value, .deviation = {}, .count = 1}) : std::nullopt,
                      decimals, factor);
}

Cell moments_cell(const std::optional<Moments>& moments, int decimals, double factor) {
  Cell cell;
  if (moments) {
    cell.value = moments->mean * factor;
    cell.text = fixed(*cell.value, decimals);
    if (moments->deviation) {
      cell.deviation = *moments->deviation * factor;
      cell.text += " +- " + fixed(*cell.deviation, decimals);
    }
  }
  return cell;
}

void mark_best(Sheet& sheet, std::size_t column, Better better) {
  std::vector<Cell*> cells;
  for (SheetRow& row : sheet.rows) {
    if (Cell& cell = row.cells.at(column); cell.value) {
      cells.push_back(&cell);
    }
  }
  const double sign = better == Better::higher ? 1.0 : -1.0;
  const auto best = std::ranges::max_element(cells, {}, [sign](const Cell* cell) { return sign * *cell->value; });
  if (cells.size() < 2 || !(*best)->deviation) {
    return;
  }
  (*best)->is_best = std::ranges::all_of(cells, [&](const Cell* other) {
    return other == *best ||
           (other->deviation && sign * (*(*best)->value - *other->value) > *(*best)->deviation + *other->deviation);
  });
}

std::string to_csv(std::span<const Sheet> sheets) {
  const std::vector<Column> columns = all_columns(sheets);
  std::string text = "table";
  for (const Column& column : columns) {
    text += ',' + csv_field(column.key) + (column.has_deviation ? ',' + csv_field(column.key + "_sd") : "");
  }
  text += ",note\n";
  for (const Sheet& sheet : sheets) {
    for (const SheetRow& row : sheet.rows) {
      text += csv_line(sheet, row, columns);
    }
  }
  return text;
}

}  // namespace xtasc::report
