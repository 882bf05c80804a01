#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/checkpoint.hpp"
#include "report/delta_m.hpp"
#include "run/run_summary.hpp"

namespace xtasc::report {

/// SPEC section 5: `paper` averages over images, `dataset` counts over all pixels of the set.
enum class Protocol { paper, dataset };
[[nodiscard]] std::string_view name(Protocol protocol);

/// One line of a table: one run, or the single-task nets that stand in one row.
struct Row {
  std::vector<const run::RunSummary*> runs;  ///< in the order of config::parts_of_row()
  std::string model;                         ///< the paper's name: "XTasC-Net"
  std::string encoder;                       ///< "resnet18"; "resnet18, pretrained" where weights were given
  std::string weighting;                     ///< "-" for single-task nets
  std::int64_t num_parameters = 0;           ///< trainable; the sum over the row's nets
  run::MetricValues metrics;                 ///< of the table's protocol and checkpoint; shares, not percent
  std::optional<double> delta_m;             ///< percent
  std::optional<std::size_t> footnote;       ///< index into Table::footnotes: why delta_m or a metric is absent
};

/// Whether two runs of one pack trained equally long, or would have but for the same patience, on the same share of the
/// images, with one encoder, its weights and a decoder's width, as far as
/// both nets have them.
[[nodiscard]] bool are_alike(const run::RunSummary& a, const run::RunSummary& b);
/// Whether two runs kept the same share of a pack's labels.
[[nodiscard]] bool keep_the_same_labels(const run::RunSummary& a, const run::RunSummary& b);

/// A text of each of the row's runs, told once where they agree: "fp32", or "runs/seg + runs/depth".
[[nodiscard]] std::string joined(const Row& row, const std::function<std::string(const run::RunSummary&)>& text);

/// The runs on one pack and label set, in one protocol. Rows by System::place; within it by encoder, weighting, seed
/// and folder.
struct Table {
  Protocol protocol = Protocol::paper;
  Checkpoint checkpoint = Checkpoint::best;
  DeltaForm delta_form = {};  ///< of all rows' Delta_m
  std::vector<Row> rows;
  std::vector<std::string> footnotes;
};

/// Tables by pack (in the order of their names) and label set and, within them, by protocol. They point into `runs`. A
/// net that predicts no classes, to which a label set says nothing, stands in the tables of all label sets that have
/// none of their own.
///
/// Delta_m is over the row of single-task nets that the row's system is set against (System::is_set_against), that has
/// all of the row's tasks, and no more than need be, and whose runs are_alike() and have the row's seed. Of several,
/// the one with the row's precision, then batch size, then parent folder is meant; where that leaves none or several,
/// Delta_m is absent and a footnote says why.
[[nodiscard]] std::vector<Table> make_tables(std::span<const run::RunSummary> runs, std::span<const Protocol> protocols,
                                             Checkpoint checkpoint, const DeltaForm& delta_form = {});

}  // namespace xtasc::report
