#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "report/aggregate.hpp"
#include "report/sheet.hpp"

namespace xtasc::report {

/// A column that says what a row is.
struct LabelColumn {
  std::string key;     ///< of the CSV
  std::string header;  ///< elsewhere
  std::function<std::string(const SeedGroup&)> text;
};

/// A column after the metrics.
struct ExtraColumn {
  Column column;
  std::function<Cell(const SeedGroup&, Sheet&)> cell;  ///< the sheet is for footnotes; the group is one of `groups`
};

/// The value of a config key, under its short name: "lambda_1". The system is shown by the paper's name of it.
[[nodiscard]] LabelColumn axis_column(const std::string& full_key);
/// Model, encoder and weighting, as the table of single seeds has them.
[[nodiscard]] std::vector<LabelColumn> model_columns();

/// The config keys in which groups of the same labels differ.
[[nodiscard]] std::set<std::string> keys_that_tell_apart(std::span<const SeedGroup> groups,
                                                         const std::vector<LabelColumn>& labels);

/// Rows of groups (one pack's): labels, number of seeds, parameters, their tasks' metrics as mean +- deviation,
/// Delta_m. Where rows have the same labels, the config keys in which they differ become columns too. Rows are sorted
/// by their labels, numbers by size, words as they first come in `groups`. The best in bold, by mark_best.
[[nodiscard]] Sheet axes_sheet(std::span<const SeedGroup> groups, std::vector<LabelColumn> labels, Protocol protocol,
                               Checkpoint checkpoint, const std::vector<ExtraColumn>& extra = {});

/// "33.02 +- 0.15": a metric of the group over its seeds.
[[nodiscard]] Cell metric_cell(const SeedGroup& group, const task::Metric& metric);
/// Delta_m over the seeds; of the means where no seed has its own baseline; footnotes tell what a reader should know.
[[nodiscard]] Cell delta_m_cell(const SeedGroup& group, Sheet& sheet);

}  // namespace xtasc::report
