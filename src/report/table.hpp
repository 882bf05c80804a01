#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "run/run_summary.hpp"

namespace xtasc::report {

/// SPEC section 5: `paper` averages over images, `dataset` counts over all pixels of the set.
enum class Protocol { paper, dataset };
/// Which epoch a table shows: that of the lowest validation loss, or the last.
enum class Checkpoint { best, last };

[[nodiscard]] std::string_view name(Protocol protocol);
[[nodiscard]] std::string_view name(Checkpoint checkpoint);

/// One line of a table: one run, or the two runs that make up Base ST-Net.
struct Row {
  std::vector<const run::RunSummary*> runs;  ///< one; for Base ST-Net segmentation first, then depth
  std::string model;                         ///< the paper's name: "XTasC-Net"
  std::string encoder;                       ///< "resnet18"; "resnet18, pretrained" where weights were given
  std::string weighting;                     ///< "-" for Base ST-Net
  std::int64_t num_parameters = 0;           ///< trainable; the sum of both nets for Base ST-Net
  run::MetricValues metrics;                 ///< of the table's protocol and checkpoint; shares, not percent
  std::optional<double> delta_m;             ///< percent
  std::optional<std::size_t> footnote;       ///< index into Table::footnotes: why delta_m or a metric is absent
};

/// A text of each of the row's runs, told once where they agree: "fp32", or "runs/seg + runs/depth".
[[nodiscard]] std::string joined(const Row& row, const std::function<std::string(const run::RunSummary&)>& text);

/// The runs on one pack and label set, in one protocol. Rows: Base ST-Net, Base MT-Net, Align-Net, XTasC-Net; within
/// them by encoder, weighting, seed and folder.
struct Table {
  Protocol protocol = Protocol::paper;
  Checkpoint checkpoint = Checkpoint::best;
  std::vector<Row> rows;
  std::vector<std::string> footnotes;
};

/// Tables by pack (in the order of their names) and label set and, within them, by protocol. They point into `runs`. A
/// net that predicts no classes, to which a label set says nothing, stands in the tables of all label sets that have
/// none of their own.
///
/// Base ST-Net, against which Delta_m is taken, is the pair of base_st_seg and base_st_depth (or another pair of halves
/// that has all of the row's tasks, and no more than need be) with the row's pack, label set, encoder, encoder weights,
/// decoder width, number of epochs and seed. Of several, the one with the row's precision, then batch size, then parent
/// folder is meant; where that leaves none or several, Delta_m is absent and a footnote says why.
[[nodiscard]] std::vector<Table> make_tables(std::span<const run::RunSummary> runs, std::span<const Protocol> protocols,
                                             Checkpoint checkpoint);

}  // namespace xtasc::report
