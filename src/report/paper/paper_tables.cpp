#include "report/paper/paper_tables.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.hpp"
#include "core/toml_text.hpp"
#include "io/atomic_file.hpp"

// Assertions of the parser are reachable from bad input: an error is wanted there, not an abort.
#define TOML_ASSERT(expression) static_cast<void>(0)
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace xtasc::report {

namespace {

/// results/paper_tables.toml
constexpr std::string_view kPublishedText =
#include "paper_tables.inc"
    ;

constexpr PaperData kCityscapes = {.dataset = "cityscapes",
                                   .num_classes = 7,
                                   .height = 128,
                                   .width = 256,
                                   .abs_err_unit = "inverse depth",
                                   .rel_err_decimals = 2,
                                   .assignments = {"loss.lambda_1=0.01", "loss.lambda_2=0.01", "train.epochs=250",
                                                   "train.batch_size=8", "train.lr_step=80"},
                                   .baseline_table = "I"};
constexpr PaperData kNyuv2 = {.dataset = "nyuv2",
                              .num_classes = 13,
                              .height = 288,
                              .width = 384,
                              .abs_err_unit = "m",
                              .rel_err_decimals = 4,
                              .assignments = {"loss.lambda_1=0.0001", "loss.lambda_2=0.0001", "train.epochs=100",
                                              "train.batch_size=6", "train.lr_step=60"},
                              .baseline_table = "III"};

struct TableKind {
  const char* number;
  PaperLayout layout;
  const PaperData* data;
  const char* sweep;
};
constexpr std::array<TableKind, 8> kTables = {{{"I", PaperLayout::models, &kCityscapes, "sweeps/table_I.toml"},
                                               {"II", PaperLayout::systems, &kCityscapes, "sweeps/table_I.toml"},
                                               {"III", PaperLayout::models, &kNyuv2, "sweeps/table_III.toml"},
                                               {"IV", PaperLayout::systems, &kNyuv2, "sweeps/table_III.toml"},
                                               {"V", PaperLayout::encoders, &kCityscapes, "sweeps/table_V.toml"},
                                               {"VI", PaperLayout::encoders, &kNyuv2, "sweeps/table_VI.toml"},
                                               {"VII", PaperLayout::weightings, &kCityscapes, "sweeps/table_VII.toml"},
                                               {"VIII", PaperLayout::weightings, &kNyuv2, "sweeps/table_VIII.toml"}}};

constexpr std::array<const char*, 9> kRowKeys = {"model", "weighting", "encoder", "pretrained", "params",
                                                 "miou",  "pix_acc",   "abs_err", "rel_err"};

std::optional<double> number(const toml::table& row, const char* key, const std::string& where, bool is_needed) {
  const toml::node* node = row.get(key);
  const std::optional<double> value = node == nullptr ? std::nullopt : node->value<double>();
  if ((node != nullptr || is_needed) && !(value && std::isfinite(*value))) {
    fail_usage("{}: {} must be a number, found {}", where, key, node == nullptr ? "nothing" : "something else");
  }
  return value;
}

std::string text(const toml::table& row, const char* key, const std::string& where) {
  const toml::node* node = row.get(key);
  if (node != nullptr && !node->is_string()) {
    fail_usage("{}: {} must be a string", where, key);
  }
  return row[key].value_or(std::string());
}

PublishedRow read_row(const toml::table& row, const std::string& where, PaperLayout layout) {
  for (const auto& [key, value] : row) {
    if (key != "delta_m" && std::ranges::find(kRowKeys, key.str()) == kRowKeys.end()) {
      fail_usage("{}: unknown key \"{}\"; known are {}, delta_m", where, key.str(), fmt::join(kRowKeys, ", "));
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
  if (const toml::node* pretrained = row.get("pretrained"); pretrained != nullptr) {
    if (!pretrained->is_boolean()) {
      fail_usage("{}: pretrained must be true or false", where);
    }
    result.is_pretrained = *pretrained->value<bool>();
  }
  result.params = number(row, "params", where, false);
  result.scores = {.miou = number(row, "miou", where, true),
                   .pix_acc = number(row, "pix_acc", where, true),
                   .abs_err = number(row, "abs_err", where, true),
                   .rel_err = number(row, "rel_err", where, true)};
  result.delta_m = number(row, "delta_m", where, false);
  return result;
}

PublishedTable read_table(const TableKind& kind, const toml::node& node, const std::string& source) {
  const std::string where = fmt::format("{}: [table_{}]", source, kind.number);
  const toml::table* table = node.as_table();
  const toml::array* rows = table == nullptr ? nullptr : table->get_as<toml::array>("rows");
  if (rows == nullptr || rows->empty()) {
    fail_usage("{}: needs `rows`, a list of tables", where);
  }
  PublishedTable result{.number = kind.number,
                        .title = text(*table, "title", where),
                        .layout = kind.layout,
                        .data = kind.data,
                        .sweep = kind.sweep,
                        .rows = {}};
  for (const toml::node& row : *rows) {
    const std::string at = fmt::format("{} row {}", where, result.rows.size() + 1);
    if (!row.is_table()) {
      fail_usage("{}: must be a table {{...}}", at);
    }
    result.rows.push_back(read_row(*row.as_table(), at, kind.layout));
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

struct MetricName {
  const char* key;
  std::optional<double> Scores::*value;
};
constexpr std::array<MetricName, 4> kMetrics = {{{"miou", &Scores::miou},
                                                 {"pix_acc", &Scores::pix_acc},
                                                 {"abs_err", &Scores::abs_err},
                                                 {"rel_err", &Scores::rel_err}}};

/// By how much the printed Delta_m is above eq. 17's; absent where there is none, or for the baseline itself.
std::optional<double> excess(const PublishedTable& table, const PublishedRow& row,
                             const std::vector<PublishedTable>& all) {
  const std::optional<double> recomputed = recomputed_delta_m(table, row, all);
  return row.delta_m && recomputed && row.model != "Base ST-Net" ? std::optional(*row.delta_m - printed(*recomputed))
                                                                 : std::nullopt;
}

bool differs(const std::optional<double>& excess) {
  return excess && std::abs(*excess) > 0.005;
}

}  // namespace

std::vector<PublishedTable> published_tables(const std::optional<std::filesystem::path>& file) {
  const std::string source = file ? file->string() : "paper_tables.toml";
  const std::string content = file ? io::read_file(*file) : std::string(kPublishedText);
  check_toml_text(content, source);
  toml::table root;
  try {
    root = toml::parse(content);
  } catch (const toml::parse_error& error) {
    fail_usage("{}:{}:{}: {}", source, error.source().begin.line, error.source().begin.column, error.description());
  }
  std::vector<PublishedTable> tables;
  std::set<std::string> known;
  for (const TableKind& kind : kTables) {
    known.insert(fmt::format("table_{}", kind.number));
    if (const toml::node* node = root.get(fmt::format("table_{}", kind.number)); node != nullptr) {
      tables.push_back(read_table(kind, *node, source));
    }
  }
  for (const auto& [key, value] : root) {
    if (!known.contains(std::string(key.str()))) {
      fail_usage("{}: unknown table [{}]; known are {}", source, key.str(), fmt::join(known, ", "));
    }
  }
  return tables;
}

std::string weighting_of(const PublishedTable& table, const PublishedRow& row) {
  if (row.model == "Base ST-Net") {
    return "equal";  // there is nothing to weigh
  }
  return table.layout == PaperLayout::weightings ? row.weighting : "uncertainty";
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

bool is_ours(const PublishedRow& row) {
  return row.model == "Base ST-Net" || row.model == "Base MT-Net" || row.model == "Align-Net" ||
         row.model == "XTasC-Net";
}

std::optional<double> recomputed_delta_m(const PublishedTable& table, const PublishedRow& row,
                                         const std::vector<PublishedTable>& all) {
  for (const PublishedTable& other : all) {
    if (other.number == table.data->baseline_table) {
      const auto baseline = std::ranges::find(other.rows, "Base ST-Net", &PublishedRow::model);
      return baseline == other.rows.end() ? std::nullopt : delta_m(row.scores, baseline->scores);
    }
  }
  return std::nullopt;
}

std::vector<Misprint> misprints(const PublishedTable& table, const PublishedRow& row,
                                const std::vector<PublishedTable>& all) {
  if (!differs(excess(table, row, all))) {
    return {};
  }
  std::vector<Misprint> found;
  for (const PublishedTable& other : all) {
    const PublishedRow* twin = other.data == table.data ? same_net(table, other, row) : nullptr;
    for (const MetricName& metric : kMetrics) {
      if (twin != nullptr && row.scores.*metric.value != twin->scores.*metric.value) {
        PublishedRow corrected = row;
        corrected.scores.*metric.value = twin->scores.*metric.value;
        const bool explains = !differs(excess(table, corrected, all));
        found.push_back(
            {.metric = metric.key,
             .text = fmt::format("Table {} prints {} for the same net{}", other.number, *(twin->scores.*metric.value),
                                 explains ? fmt::format("; with it eq. 17 gives the printed Delta_m of "
                                                        "{:.2f}, so {} looks like a misprint",
                                                        *row.delta_m, *(row.scores.*metric.value))
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
