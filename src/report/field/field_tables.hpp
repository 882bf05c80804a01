#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/delta_m.hpp"
#include "run/metrics_log.hpp"

// What other papers print of their methods, on the data sets that ours are trained on.
namespace xtasc::report {

/// A number as its source prints it.
struct Figure {
  double value = 0.0;
  std::string text;  ///< "57.20"

  /// Half a unit of the last digit: what rounding may have taken.
  [[nodiscard]] double rounding() const;
};

/// A column of a published table.
struct FieldMetric {
  std::string key, header;
  std::string task = {};  ///< its task's key; empty: this software has no such metric
  double factor = 1.0;    ///< of what our runs hold, to the unit that is printed
};

/// One published line.
struct FieldRow {
  std::string method;             ///< as printed
  std::string weighting;          ///< config's word; empty where there is none
  std::string network;            ///< what tables of ours call its system; empty where it is none of ours
  std::string setting;            ///< "c = 0.4", "losses weighed by uncertainty"
  std::vector<Figure> values;     ///< as many as the table has metrics
  std::optional<Figure> delta_m;  ///< percent, by the table's form
  std::string delta_m_deviation;  ///< as printed behind +-; empty: none
  bool is_of_one_text = false;    ///< no other text was found to print the same
};

/// What the table's Delta_m is.
struct FieldDelta {
  DeltaForm form;
  std::size_t base = 0;  ///< the row that it is over
};

/// A published table, and how its nets were trained and measured; what its source does not say is absent or empty.
struct FieldTable {
  std::string id, title;
  std::string dataset;             ///< the pack's attribute
  std::string split;               ///< "795 train, 654 test; no validation set"
  std::vector<std::string> tasks;  ///< keys
  std::int64_t num_classes = 0, height = 0, width = 0;
  std::string abs_err_unit;
  std::vector<FieldMetric> metrics;
  std::optional<bool> is_pretrained, has_normalised_images;
  std::vector<std::pair<std::string, std::string>> train;  ///< key without its section, value as TOML
  std::string augmentation;                                ///< in the words of augmentation_text()
  std::optional<std::int64_t> num_seeds;
  std::string checkpoint;                      ///< a word of Checkpoint
  std::map<std::string, std::string> pooling;  ///< by task: "dataset", "per_batch" or "per_image"
  std::optional<FieldDelta> delta;
  std::string source;  ///< "CAGrad (...), Table 5"
  std::string recipe;  ///< a config of ours with this protocol
  bool is_comparable = true;
  std::vector<FieldRow> rows;
};

/// All tables. \param file  in the format of results/field_tables.toml; absent: that file, as it was when the program
/// was built. \throws Error (exit code 2) with the place of whatever is wrong in it
[[nodiscard]] std::vector<FieldTable> field_tables(const std::optional<std::filesystem::path>& file = {});

/// \throws Error (exit code 2) naming the nearest id, where there is none of that id
[[nodiscard]] const FieldTable& field_table(const std::vector<FieldTable>& tables, const std::string& id);

/// The row's printed figures by the keys of their metrics, for those that this software has.
[[nodiscard]] run::MetricValues figures_of(const FieldTable& table, const FieldRow& row);

/// Delta_m by the table's form, over its base. \param values  in the units of the table's figures
/// \returns  absent where the table has none, or a metric is missing
[[nodiscard]] std::optional<double> delta_m_over_base(const FieldTable& table, const run::MetricValues& values);

/// The printed Delta_m less what the printed figures give, where rounding of all of them cannot explain it.
[[nodiscard]] std::optional<double> unexplained_delta_m(const FieldTable& table, const FieldRow& row);

}  // namespace xtasc::report
