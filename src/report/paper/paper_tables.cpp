#include "report/paper/paper_tables.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "core/error.hpp"
#include "core/toml.hpp"
#include "io/atomic_file.hpp"
#include "report/delta_m.hpp"
#include "report/metric_columns.hpp"

namespace xtasc::report {

namespace {

using Kind = TomlValue::Kind;

/// results/paper_tables.toml
constexpr std::string_view kPublishedText =
#include "paper_tables.toml.inc"
    ;

constexpr std::array<PrintedDecimals, 1> kTwoOfRelErr = {{{"rel_err", 2}}};
constexpr PaperData kCityscapes = {.dataset = "cityscapes",
                                   .num_classes = 7,
                                   .height = 128,
                                   .width = 256,
                                   .tasks = {"seg", "depth"},
                                   .depth_unit = "inverse depth",
                                   .decimals = kTwoOfRelErr,
                                   .assignments = {"loss.lambda_1=0.01", "loss.lambda_2=0.01", "train.epochs=250",
                                                   "train.batch_size=8", "train.lr_step=80"},
                                   .baseline_table = "I"};
constexpr PaperData kNyuv2 = {.dataset = "nyuv2",
                              .num_classes = 13,
                              .height = 288,
                              .width = 384,
                              .tasks = {"seg", "depth"},
                              .depth_unit = "m",
                              .decimals = {},
                              .assignments = {"loss.lambda_1=0.0001", "loss.lambda_2=0.0001", "train.epochs=100",
                                              "train.batch_size=6", "train.lr_step=60"},
                              .baseline_table = "III"};

/// A network of other authors, as the 2021 code trains it: Adam 1e-4, halved after 100 of 200 epochs, batches of 2,
/// samples as they are. Source: https://github.com/lorenmt/mtan; METHODS section 3.6.
struct Compared {
  std::string_view model;  ///< as printed
  std::string_view label;  ///< of the system: System::label
  std::vector<std::string> assignments;
  std::vector<std::string> on_cityscapes = {}, on_nyuv2 = {};  ///< more of them
  std::string_view needs = {};                                 ///< the row of its teachers
};

const std::vector<Compared>& compared_models() {
  static const std::vector<std::string> as_mtan = {"train.epochs=200",   "train.batch_size=2", "train.lr_step=100",
                                                   "train.lr_gamma=0.5", "data.flip=false",    "data.scale_crop=false"};
  // MTAN on losses that uncertainty weighs, all parameters compared, at one learning rate.
  static const std::vector<std::string> as_pcgrad = {
      "train.epochs=200", "train.batch_size=2",    "train.lr_step=100",        "train.lr_gamma=1.0",
      "data.flip=false",  "data.scale_crop=false", "weighting.parameters=all", "weighting.losses=uncertainty"};
  // At one learning rate too, with factors for each place in the batch. METHODS section 3.7.
  static const std::vector<std::string> as_adamt = {"train.epochs=200", "train.lr_step=100", "train.lr_gamma=1.0",
                                                    "model.adamt_attention=per_slot"};
  static const std::vector<std::string> adamt_on_cityscapes = {"train.batch_size=8", "data.flip=false",
                                                               "data.scale_crop=false"};
  static const std::vector<std::string> adamt_on_nyuv2 = {"train.batch_size=4"};
  static const std::vector<Compared> models = {
      {"STAN", "STAN", as_mtan},
      {"Dense", "Dense", as_mtan},
      {"Cross-Stitch", "Cross-Stitch", as_mtan},
      {"MTAN", "MTAN", as_mtan},
      {"PCGrad", "MTAN", as_pcgrad},
      {"KD4MTL", "KD4MTL", as_mtan, {}, {}, "STAN"},
      {"AdaMT-Net", "AdaMT-Net", as_adamt, adamt_on_cityscapes, adamt_on_nyuv2}};
  return models;
}

const Compared* compared_model(const PublishedRow& row) {
  const auto found = std::ranges::find(compared_models(), row.model, &Compared::model);
  return found == compared_models().end() ? nullptr : &*found;
}

struct TableKind {
  const char* number;
  PaperLayout layout;
  const PaperData* data;
  const char* sweep;
};
constexpr std::array<TableKind, 8> kTables = {{{"I", PaperLayout::models, &kCityscapes, "sweeps/table_I.toml"},
                                               {"II", PaperLayout::systems, &kCityscapes, "sweeps/table_II.toml"},
                                               {"III", PaperLayout::models, &kNyuv2, "sweeps/table_III.toml"},
                                               {"IV", PaperLayout::systems, &kNyuv2, "sweeps/table_IV.toml"},
                                               {"V", PaperLayout::encoders, &kCityscapes, "sweeps/table_V.toml"},
                                               {"VI", PaperLayout::encoders, &kNyuv2, "sweeps/table_VI.toml"},
                                               {"VII", PaperLayout::weightings, &kCityscapes, "sweeps/table_VII.toml"},
                                               {"VIII", PaperLayout::weightings, &kNyuv2, "sweeps/table_VIII.toml"}}};

std::vector<std::string_view> row_keys(const std::vector<task::Metric>& metrics) {
  std::vector<std::string_view> keys = {"model", "weighting", "encoder", "pretrained", "params"};
  std::ranges::transform(metrics, std::back_inserter(keys), &task::Metric::key);
  keys.emplace_back("delta_m");
  return keys;
}

std::optional<double> number(const TomlValue& row, std::string_view key, const std::string& where, bool is_needed) {
  const TomlValue* value = row.find(key);
  if (value == nullptr && !is_needed) {
    return std::nullopt;
  }
  if (value == nullptr || !value->is_number()) {
    fail_usage("{}: {} must be a number, found {}", where, key, value == nullptr ? "nothing" : value->type_name);
  }
  return value->real;
}

std::string text(const TomlValue& row, const char* key, const std::string& where) {
  const TomlValue* value = row.find(key);
  if (value != nullptr && !value->is(Kind::text)) {
    fail_usage("{}: {} must be a string, found {}", where, key, value->type_name);
  }
  return value == nullptr ? "" : value->text;
}

PublishedRow read_row(const TomlValue& row, const std::string& where, const PublishedTable& table) {
  const PaperLayout layout = table.layout;
  const std::vector<task::Metric> metrics = metrics_of(tasks_of(table));
  const std::vector<std::string_view> known = row_keys(metrics);
  for (const TomlValue& entry : row.table) {
    if (std::ranges::find(known, entry.key) == known.end()) {
      fail_usage("{}: unknown key \"{}\"; known are {}", where, entry.key, fmt::join(known, ", "));
    }
  }
  PublishedRow result;
  result.model = text(row, "model", where);
  result.encoder = text(row, "encoder", where);
  if (layout == PaperLayout::encoders) {
    result.model = result.model.empty() ? "XTasC-Net" : result.model;
  }
  if (result.model.empty() || (layout == PaperLayout::encoders && result.encoder.empty())) {
    fail_usage("{}: {} is missing", where, result.model.empty() ? "model" : "encoder");
  }
  result.weighting = text(row, "weighting", where);
  if (const TomlValue* pretrained = row.find("pretrained"); pretrained != nullptr) {
    if (!pretrained->is(Kind::boolean)) {
      fail_usage("{}: pretrained must be true or false, found {}", where, pretrained->type_name);
    }
    result.is_pretrained = pretrained->boolean;
  }
  result.params = number(row, "params", where, false);
  for (const task::Metric& metric : metrics) {
    result.metrics.emplace(metric.key, *number(row, metric.key, where, true));
  }
  result.delta_m = number(row, "delta_m", where, false);
  return result;
}

PublishedTable read_table(const TableKind& kind, const TomlValue& table, const std::string& source) {
  const std::string where = fmt::format("{}: [table_{}]", source, kind.number);
  const TomlValue* rows = table.find("rows");
  if (rows == nullptr || rows->list.empty()) {
    fail_usage("{}: needs `rows`, a list of tables", where);
  }
  PublishedTable result{.number = kind.number,
                        .title = text(table, "title", where),
                        .layout = kind.layout,
                        .data = kind.data,
                        .sweep = kind.sweep,
                        .rows = {}};
  for (const TomlValue& row : rows->list) {
    const std::string at = fmt::format("{} row {}", where, result.rows.size() + 1);
    if (!row.is(Kind::table)) {
      fail_usage("{}: must be a table {{...}}, found {}", at, row.type_name);
    }
    result.rows.push_back(read_row(row, at, result));
  }
  return result;
}

/// Rounded as the paper prints it.
double printed(double value) {
  return std::round(value * 100.0) / 100.0;
}

const PublishedRow* same_net(const PublishedTable& table, const PublishedTable& other, const PublishedRow& row) {
  const auto net = [](const PublishedTable& of, const PublishedRow& r) {
    return std::tuple(r.model, weighting_of(of, r), r.encoder.empty() ? std::string("resnet34") : r.encoder,
                      r.is_pretrained);
  };
  const auto found = std::ranges::find_if(other.rows, [&](const PublishedRow& candidate) {
    return is_ours(row) && net(other, candidate) == net(table, row);
  });
  return found == other.rows.end() ? nullptr : &*found;
}

/// By how much the printed Delta_m is above eq. 17's; absent where there is none, or for the baseline itself.
std::optional<double> excess(const PublishedTable& table, const PublishedRow& row,
                             const std::vector<PublishedTable>& all) {
  const std::optional<double> recomputed = recomputed_delta_m(table, row, all);
  return row.delta_m && recomputed && row.model != "Base ST-Net" ? std::optional(*row.delta_m - printed(*recomputed))
                                                                 : std::nullopt;
}

/// Sizes relative to one SegNet (2.498e7), as Liu et al. 2019 print them for two tasks; and what they make.
struct RelativeSize {
  std::string_view model;
  double to_segnet, right;
};
constexpr std::array<RelativeSize, 3> kRelativeSizes = {
    {{"STAN", 3.04, 7.64}, {"Dense", 3.63, 9.08}, {"Cross-Stitch", 2.0, 5.0}}};

/// Table II multiplies them by the size of MTAN instead.
std::optional<Misprint> misprinted_size(const PublishedTable& table, const PublishedRow& row) {
  const auto relative = std::ranges::find(kRelativeSizes, row.model, &RelativeSize::model);
  const auto mtan = std::ranges::find(table.rows, "MTAN", &PublishedRow::model);
  if (relative == kRelativeSizes.end() || mtan == table.rows.end() || !row.params || !mtan->params ||
      std::abs(printed(relative->to_segnet * *mtan->params) - *row.params) > 0.005) {
    return std::nullopt;
  }
  return Misprint{.metric = "params",
                  .text = fmt::format("{:.2f} is {:.2f} x {:.2f}: the size relative to one SegNet that the MTAN paper "
                                      "prints, times that of MTAN; {:.2f} looks right",
                                      *row.params, relative->to_segnet, *mtan->params, relative->right)};
}

bool differs(const std::optional<double>& excess) {
  return excess && std::abs(*excess) > 0.005;
}

}  // namespace

std::vector<PublishedTable> published_tables(const std::optional<std::filesystem::path>& file) {
  const std::string source = file ? file->string() : "paper_tables.toml";
  const std::string content = file ? io::read_file(*file) : std::string(kPublishedText);
  const TomlValue root = parse_toml(content, source);
  std::vector<PublishedTable> tables;
  std::set<std::string> known;
  for (const TableKind& kind : kTables) {
    known.insert(fmt::format("table_{}", kind.number));
    if (const TomlValue* table = root.find(fmt::format("table_{}", kind.number)); table != nullptr) {
      tables.push_back(read_table(kind, *table, source));
    }
  }
  for (const TomlValue& entry : root.table) {
    if (!known.contains(entry.key)) {
      fail_usage("{}: unknown table [{}]; known are {}", source, entry.key, fmt::join(known, ", "));
    }
  }
  return tables;
}

task::Tasks tasks_of(const PublishedTable& table) {
  task::Tasks tasks;
  std::ranges::transform(table.data->tasks, std::back_inserter(tasks), task::of_key);
  return tasks;
}

std::string weighting_of(const PublishedTable& table, const PublishedRow& row) {
  if (row.model == "Base ST-Net") {
    return "equal";  // there is nothing to weigh
  }
  if (row.model == "PCGrad") {
    return "pcgrad";  // whatever weighs its losses
  }
  if (row.model == "AdaMT-Net") {
    return "alsw";  // "gradient-based"
  }
  if (compared_model(row) != nullptr) {
    return row.weighting.empty() ? "equal" : row.weighting;
  }
  return table.layout == PaperLayout::weightings ? row.weighting : "uncertainty";
}

std::string_view label_of(const PublishedRow& row) {
  const Compared* model = compared_model(row);
  return model == nullptr ? std::string_view(row.model) : model->label;
}

std::vector<std::string> settings_of(const PublishedTable& table, const PublishedRow& row) {
  const Compared* model = compared_model(row);
  std::vector<std::string> settings =
      model != nullptr ? model->assignments
                       : std::vector<std::string>(table.data->assignments.begin(), table.data->assignments.end());
  if (model != nullptr) {
    const std::vector<std::string>& more = table.data == &kCityscapes ? model->on_cityscapes : model->on_nyuv2;
    settings.insert(settings.end(), more.begin(), more.end());
  } else {
    settings.push_back(fmt::format("model.encoder={}", row.encoder.empty() ? "resnet34" : row.encoder));
  }
  settings.push_back(fmt::format("weighting.method={}", weighting_of(table, row)));
  return settings;
}

std::string sweep_row_of(const PublishedTable& table, const PublishedRow& row) {
  switch (table.layout) {
    case PaperLayout::models:
    case PaperLayout::systems:
      return row.model;
    case PaperLayout::encoders:
      return row.encoder + (row.is_pretrained ? ", pretrained" : "");
    case PaperLayout::weightings:
      return row.weighting.empty() ? row.model : fmt::format("{}, {}", row.model, row.weighting);
  }
  fail("unknown layout {}", static_cast<int>(table.layout));
}

std::string_view needed_row_of(const PublishedRow& row) {
  const Compared* model = compared_model(row);
  return model == nullptr ? std::string_view() : model->needs;
}

bool is_ours(const PublishedRow& row) {
  return row.model == "Base ST-Net" || row.model == "Base MT-Net" || row.model == "Align-Net" ||
         row.model == "XTasC-Net" || compared_model(row) != nullptr;
}

std::optional<double> recomputed_delta_m(const PublishedTable& table, const PublishedRow& row,
                                         const std::vector<PublishedTable>& all) {
  for (const PublishedTable& other : all) {
    if (other.number == table.data->baseline_table) {
      const auto baseline = std::ranges::find(other.rows, "Base ST-Net", &PublishedRow::model);
      return baseline == other.rows.end() ? std::nullopt : delta_m(row.metrics, baseline->metrics, tasks_of(table));
    }
  }
  return std::nullopt;
}

std::vector<Misprint> misprints(const PublishedTable& table, const PublishedRow& row,
                                const std::vector<PublishedTable>& all) {
  if (const std::optional<Misprint> of_size = misprinted_size(table, row)) {
    return {*of_size};
  }
  if (!differs(excess(table, row, all))) {
    return {};
  }
  std::vector<Misprint> found;
  for (const PublishedTable& other : all) {
    const PublishedRow* twin = other.data == table.data ? same_net(table, other, row) : nullptr;
    for (const task::Metric& metric : metrics_of(tasks_of(table))) {
      const std::string key(metric.key);
      if (twin != nullptr && row.metrics.at(key) != twin->metrics.at(key)) {
        PublishedRow corrected = row;
        corrected.metrics[key] = twin->metrics.at(key);
        const bool explains = !differs(excess(table, corrected, all));
        found.push_back(
            {.metric = key,
             .text = fmt::format("Table {} prints {} for the same net{}", other.number, twin->metrics.at(key),
                                 explains ? fmt::format("; with it eq. 17 gives the printed Delta_m of "
                                                        "{:.2f}, so {} looks like a misprint",
                                                        *row.delta_m, row.metrics.at(key))
                                          : "")});
      }
    }
  }
  if (!found.empty()) {
    return found;
  }
  std::vector<double> all_excess;
  for (const PublishedRow& other : table.rows) {
    if (const std::optional<double> of_other = excess(table, other, all)) {
      all_excess.push_back(*of_other);
    }
  }
  const auto [least, most] = std::ranges::minmax(all_excess);
  if (least > 0.005 || most < -0.005) {
    return {{.metric = "delta_m",
             .text = fmt::format("The printed Delta_m of this table are {:.2f} to {:.2f} {} than eq. 17 gives from the "
                                 "printed figures: the authors' baseline was not the printed one",
                                 std::min(std::abs(least), std::abs(most)), std::max(std::abs(least), std::abs(most)),
                                 least > 0.0 ? "higher" : "lower")}};
  }
  return {{.metric = "delta_m", .text = "Eq. 17 gives another Delta_m from the printed figures"}};
}

}  // namespace xtasc::report
