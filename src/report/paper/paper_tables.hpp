#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "run/metrics_log.hpp"
#include "task/task.hpp"

namespace xtasc::report {

/// What a row of one of the paper's tables stands for.
enum class PaperLayout {
  models,     ///< I, III: the four models
  systems,    ///< II, IV: other authors' systems beside XTasC-Net
  encoders,   ///< V, VI: XTasC-Net with ResNets of several depths
  weightings  ///< VII, VIII: models and ways to weigh the two tasks
};

/// Decimals that the paper prints a metric with.
struct PrintedDecimals {
  std::string_view metric;
  int decimals;
};

/// A data set as the paper uses it, and the settings that it trains with there (SPEC section 4).
struct PaperData {
  std::string_view dataset;  ///< the pack's attribute
  int num_classes, height, width;
  std::array<std::string_view, 2> tasks;        ///< by their keys: those whose metrics the tables print
  std::string_view depth_unit;                  ///< of metrics in task::kDepthUnit
  std::span<const PrintedDecimals> decimals;    ///< where the paper prints others than task::Metric::decimals
  std::array<std::string_view, 5> assignments;  ///< over the defaults: "section.key=value"
  std::string_view baseline_table;              ///< number of the table that prints its Base ST-Net
};

/// One line as printed.
struct PublishedRow {
  std::string model;      ///< "XTasC-Net" in V and VI, which name none
  std::string weighting;  ///< config's word where it is one of ours; empty where none is printed
  std::string encoder;    ///< config's word; empty where none is printed (resnet34)
  bool is_pretrained = false;
  std::optional<double> params;   ///< in units of 1e7
  run::MetricValues metrics;      ///< as printed: times task::Metric::factor
  std::optional<double> delta_m;  ///< percent
};

struct PublishedTable {
  std::string number;  ///< "III"
  std::string title;
  PaperLayout layout = PaperLayout::models;
  const PaperData* data = nullptr;
  std::string sweep;  ///< the sweep file that makes its rows
  std::vector<PublishedRow> rows;
};

/// The paper's tables in their order. \param file  in the format of results/paper_tables.toml; absent: that file, as it
/// was when the program was built. \throws Error (exit code 2) with the table and row of whatever is wrong in it.
[[nodiscard]] std::vector<PublishedTable> published_tables(const std::optional<std::filesystem::path>& file = {});

/// The tasks whose metrics the table prints.
[[nodiscard]] task::Tasks tasks_of(const PublishedTable& table);

/// The row's weighting in our runs: I to IV and the encoders' tables use uncertainty weights but for Base ST-Net and
/// other authors' networks.
[[nodiscard]] std::string weighting_of(const PublishedTable& table, const PublishedRow& row);

/// config::System::label of the row's network: of PCGrad, which is a method, MTAN.
[[nodiscard]] std::string_view label_of(const PublishedRow& row);

/// What the row's runs have beside their system, as assignments over the defaults.
[[nodiscard]] std::vector<std::string> settings_of(const PublishedTable& table, const PublishedRow& row);

/// The name of the row in the table's sweep file, as `xtasc-sweep run --only` takes it.
[[nodiscard]] std::string sweep_row_of(const PublishedTable& table, const PublishedRow& row);

/// The row that must be trained before this one, since its nets teach; empty: none.
[[nodiscard]] std::string_view needed_row_of(const PublishedRow& row);

/// Is the row's system one that this software trains?
[[nodiscard]] bool is_ours(const PublishedRow& row);

/// Delta_m as eq. 17 gives it from the published figures; absent where the tables hold no Base ST-Net of the data set.
[[nodiscard]] std::optional<double> recomputed_delta_m(const PublishedTable& table, const PublishedRow& row,
                                                       const std::vector<PublishedTable>& all);

/// What is wrong with a published figure.
struct Misprint {
  std::string metric;  ///< "pix_acc", "delta_m", or "params"
  std::string text;    ///< a footnote
};

/// Whether the size is one that is a misprint; whether eq. 17 gives the row's printed Delta_m from its printed figures;
/// and where not, why: a figure that another table prints otherwise for the same net, or a baseline that is not the
/// printed one. Empty where all agrees.
[[nodiscard]] std::vector<Misprint> misprints(const PublishedTable& table, const PublishedRow& row,
                                              const std::vector<PublishedTable>& all);

}  // namespace xtasc::report
