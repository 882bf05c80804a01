#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/delta_m.hpp"
#include "report/sheet.hpp"
#include "report/table.hpp"
#include "task/task.hpp"

// What tables and figures show of some tasks: their rows of task::all() as columns.
namespace xtasc::report {

/// The tasks that rows of single-task nets are about in a table of these runs, see config::tasks_of_rows().
[[nodiscard]] task::Tasks tasks_of_rows(std::span<const run::RunSummary* const> runs);
/// The tasks of some runs, in the order of task::all(); of a part of a row without any other its others' too.
[[nodiscard]] task::Tasks tasks_of(std::span<const run::RunSummary* const> runs);
/// The tasks that a table's rows have.
[[nodiscard]] task::Tasks tasks_of(const Table& table);
[[nodiscard]] std::vector<const run::RunSummary*> runs_of(const Table& table);

/// "Delta_m is eq. 17's: higher is better.": for captions, since papers print both signs.
[[nodiscard]] std::string sign_text(const DeltaForm& form);
/// What Delta_m is called in a CSV file: with eq. 17's sign "delta_m", with the other "delta_m_lower_is_better".
[[nodiscard]] std::string delta_m_key(const DeltaForm& form);
/// At the head of a column: "Delta_m (%)", "Delta_m (%), lower is better".
[[nodiscard]] std::string delta_m_header(const DeltaForm& form);
/// Beside an axis: "\u0394m (%), higher is better".
[[nodiscard]] std::string delta_m_axis(const DeltaForm& form);

/// "Delta_m of MTAN is over SegNet, of the others over Base ST-Net.": where the rows of these runs are set against
/// different nets; else empty. Such numbers are not to be compared with each other. \param names  what the table calls
/// the runs, one each; by their nets where there are none, or one is of runs that are set against different nets
[[nodiscard]] std::string baselines_text(std::span<const run::RunSummary* const> runs,
                                         const std::vector<std::string>& names = {});

/// "Weights of the best epoch by the validation split, as in the paper.": which epochs or whose weights the numbers of
/// these runs are of, and what chose them; a sentence for a caption.
[[nodiscard]] std::string chosen_text(Checkpoint checkpoint, std::span<const run::RunSummary* const> runs);

/// Whether all of `wanted` are among `tasks`.
[[nodiscard]] bool covers(const task::Tasks& tasks, const task::Tasks& wanted);

/// All metrics of the tasks, in their order.
[[nodiscard]] std::vector<task::Metric> metrics_of(const task::Tasks& tasks);

/// How many of them Delta_m is the mean over.
[[nodiscard]] std::size_t num_in_delta_m(const task::Tasks& tasks);

/// A metric out of all that were measured; absent where it was not.
[[nodiscard]] std::optional<double> value_of(const run::MetricValues& values, std::string_view key);

/// "mIoU (%)", "AbsErr (m)": with the unit. \param from  tells the unit of the pack's depth
[[nodiscard]] std::string header_of(const task::Metric& metric, const run::Provenance& from);
/// "mIoU (%), higher is better": what stands beside an axis.
[[nodiscard]] std::string axis_label(const task::Metric& metric, const run::Provenance& from);
/// One measurement of it, as it is shown.
[[nodiscard]] Cell value_cell(const task::Metric& metric, const std::optional<double>& value);
[[nodiscard]] Better better(const task::Metric& metric);
[[nodiscard]] Better better(const DeltaForm& form);

/// "Segmentation": a task's name at the beginning of a text.
[[nodiscard]] std::string title_of(const task::Task& task);

/// What the protocol does with the metrics of these tasks: a sentence for a caption.
[[nodiscard]] std::string protocol_text(Protocol protocol, const task::Tasks& tasks);

}  // namespace xtasc::report
