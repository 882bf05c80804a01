#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/statistics.hpp"
#include "run/run_summary.hpp"

namespace xtasc::report {

/// A column of a printed table.
struct Column {
  std::string key;                       ///< its name in a CSV file: "miou"
  std::string header;                    ///< its name elsewhere: "mIoU (%)"
  std::vector<std::string> levels = {};  ///< LaTeX: the header from the top row down; empty: `header` alone.
                                         ///< Neighbours with the same text and the same above it share one cell
  bool is_text = false;                  ///< aligned left, and in CSV as it is shown; else right, and the number
  bool has_deviation = false;            ///< CSV: followed by a column KEY_sd
};

/// One cell: what is shown, and the number behind it with all its digits.
struct Cell {
  std::string text = "-";
  std::optional<double> value = {};
  std::optional<double> deviation = {};     ///< over seeds; absent for one seed
  bool is_best = false;                     ///< printed in bold
  std::vector<std::size_t> footnotes = {};  ///< indices into Sheet::footnotes
};

struct SheetRow {
  std::vector<Cell> cells;
  bool starts_block = false;                     ///< LaTeX: a thin line above it
  std::vector<std::filesystem::path> runs = {};  ///< folders of those that it shows
};

/// A table as it is printed, whatever it tells and in whichever format.
struct Sheet {
  std::string label;  ///< short name: first column of the CSV, \label of LaTeX
  std::string title;
  std::string caption;  ///< what the numbers are; one paragraph
  std::vector<Column> columns;
  std::vector<SheetRow> rows;             ///< each with as many cells as there are columns
  std::vector<std::string> footnotes;     ///< shown as [1], [2], ...; without a full stop at the end
  std::vector<std::string> remarks = {};  ///< lines below; without a full stop at the end

  /// Adds the text unless it is there. \returns its index
  std::size_t add_footnote(const std::string& text);
};

/// A cell of a text.
[[nodiscard]] Cell text_cell(std::string text);
/// "31.02": `value` times `factor` with so many decimals; "-" where absent.
[[nodiscard]] Cell number_cell(const std::optional<double>& value, int decimals, double factor = 1.0);
/// "31.02 +- 0.15": as number_cell, with the deviation over seeds where there are several. Never "-0.00".
[[nodiscard]] Cell moments_cell(const std::optional<Moments>& moments, int decimals, double factor = 1.0);

enum class Better { higher, lower };

/// Marks the best cell of a column, only when its difference is outside the deviation: for every other row that has a
/// number, mean +- deviation of the two do not overlap. A number of a single seed has no deviation, and so nothing is
/// marked beside it.
void mark_best(Sheet& sheet, std::size_t column, Better better);

/// What mark_best does, in words for a caption.
inline constexpr std::string_view kBestRule = "Bold: the best, where its mean +- deviation overlaps with no other's.";

/// The sheets as Markdown that also reads well on a terminal; last the runs that are in no table, with the reasons.
/// \param title  first line; empty: none
[[nodiscard]] std::string to_markdown(std::string_view title, std::span<const Sheet> sheets,
                                      std::span<const run::LeftOutRun> left_out);

/// The sheets as one CSV file: a column `table` with the label, every column that a sheet has, texts first, `note` with
/// the row's footnotes; numbers with all their digits, empty where absent. Quoting as in RFC 4180; lines end in \n.
[[nodiscard]] std::string to_csv(std::span<const Sheet> sheets);

/// The sheets as LaTeX tables of the package booktabs, to be \input into a document.
[[nodiscard]] std::string to_latex(std::span<const Sheet> sheets);

/// Text as LaTeX prints it: special characters escaped, `code` in typewriter, lambda_1 and Delta_m as symbols.
[[nodiscard]] std::string latex_text(std::string_view text);

}  // namespace xtasc::report
