#pragma once

#include <span>
#include <string>
#include <string_view>

#include "report/sheet.hpp"
#include "report/table.hpp"

namespace xtasc::report {

/// A table of single seeds as it is printed: a column a metric of the rows' tasks, what all rows share in the caption,
/// what differs (seed, epochs, precision, ...) in columns of its own, footnotes below.
[[nodiscard]] Sheet to_sheet(const Table& table);

/// The tables as Markdown; last the runs that are in no table, with the reasons.
[[nodiscard]] std::string to_markdown(std::string_view title, std::span<const Table> tables,
                                      std::span<const run::LeftOutRun> left_out);

/// "nyuv2, 96 x 128, 13 classes": the data that a run was trained on.
[[nodiscard]] std::string data_text(const run::Provenance& from);
/// "nyuv2, 96 x 128, 13 classes: `paper` protocol, best checkpoint".
[[nodiscard]] std::string heading(const run::Provenance& from, Protocol protocol, Checkpoint checkpoint);
/// Parameters in units of 1e7, with two decimals, or two digits where there are few.
[[nodiscard]] Cell parameters_cell(std::int64_t num_parameters);

}  // namespace xtasc::report
