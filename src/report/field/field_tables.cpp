#include "report/field/field_tables.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/nearest.hpp"
#include "core/toml.hpp"
#include "io/atomic_file.hpp"
#include "report/checkpoint.hpp"
#include "task/task.hpp"

namespace xtasc::report {

namespace {

using Kind = TomlValue::Kind;

/// results/field_tables.toml
constexpr std::string_view kFieldText =
#include "field_tables.toml.inc"
    ;

/// Reads the entries of one TOML table, each of the kind that is asked for; at the end none may be left.
class Entries {
 public:
  /// \param where  for messages, "[nyuv2_mtan_3] row 3"
  Entries(const TomlValue& table, std::string where) : table_(table), where_(std::move(where)) {
    if (!table.is(Kind::table)) {
      fail_usage("{}: {} must be a table, found {}", table.where, where_, table.type_name);
    }
  }

  [[nodiscard]] const TomlValue* find(const char* key, Kind kind, const char* kind_text) {
    known_.emplace_back(key);
    const TomlValue* value = table_.find(key);
    if (value != nullptr && !(kind == Kind::real ? value->is_number() : value->is(kind))) {
      fail_usage("{}: {}: {} must be {}, found {}", value->where, where_, key, kind_text, value->type_name);
    }
    return value;
  }
  [[nodiscard]] std::string text(const char* key) {
    const TomlValue* value = find(key, Kind::text, "a string");
    return value == nullptr ? "" : value->text;
  }
  [[nodiscard]] std::string needed_text(const char* key) {
    std::string found = text(key);
    if (found.empty()) {
      fail_usage("{}: {}: {} is missing, a string", table_.where, where_, key);
    }
    return found;
  }
  [[nodiscard]] std::optional<bool> boolean(const char* key) {
    const TomlValue* value = find(key, Kind::boolean, "true or false");
    return value == nullptr ? std::nullopt : std::optional(value->boolean);
  }
  [[nodiscard]] std::optional<Figure> figure(const char* key) {
    const TomlValue* value = find(key, Kind::real, "a number");
    return value == nullptr ? std::nullopt : std::optional(Figure{value->real, value->literal});
  }
  [[nodiscard]] std::vector<std::string> texts(const char* key) {
    std::vector<std::string> found;
    if (const TomlValue* list = find(key, Kind::list, "a list of strings")) {
      for (const TomlValue& value : list->list) {
        if (!value.is(Kind::text)) {
          fail_usage("{}: {}: {} must be a list of strings, found {} in it", value.where, where_, key, value.type_name);
        }
        found.push_back(value.text);
      }
    }
    return found;
  }
  /// Numbers, as many as wanted.
  [[nodiscard]] std::vector<Figure> figures(const char* key, std::size_t wanted) {
    std::vector<Figure> found;
    const TomlValue* list = find(key, Kind::list, "a list of numbers");
    for (const TomlValue& value : list == nullptr ? std::vector<TomlValue>() : list->list) {
      if (!value.is_number()) {
        fail_usage("{}: {}: {} must be a list of numbers, found {} in it", value.where, where_, key, value.type_name);
      }
      found.push_back({value.real, value.literal});
    }
    if (found.size() != wanted) {
      fail_usage("{}: {}: {} has {} numbers, and {} are wanted", table_.where, where_, key, found.size(), wanted);
    }
    return found;
  }
  /// Entries of texts by their keys, numbers as they stand.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> table(const char* key) {
    std::vector<std::pair<std::string, std::string>> found;
    if (const TomlValue* table = find(key, Kind::table, "a table")) {
      for (const TomlValue& entry : table->table) {
        if (!entry.is(Kind::text) && !entry.is_number()) {
          fail_usage("{}: {}: {}.{} must be a string or a number, found {}", entry.where, where_, key, entry.key,
                     entry.type_name);
        }
        found.emplace_back(entry.key, entry.is(Kind::text) ? entry.text : entry.literal);
      }
    }
    return found;
  }
  void refuse_others() const {
    for (const TomlValue& entry : table_.table) {
      if (std::ranges::find(known_, entry.key) == known_.end()) {
        fail_usage("{}: {}: unknown key \"{}\"; {}", entry.key_where, where_, entry.key,
                   did_you_mean(entry.key, known_));
      }
    }
  }
  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] const TomlValue& value() const { return table_; }

 private:
  const TomlValue& table_;
  std::string where_;
  std::vector<std::string> known_;
};

std::string one_of(const std::string& word, const std::vector<std::string>& known, const Entries& entries,
                   const char* key) {
  if (!word.empty() && std::ranges::find(known, word) == known.end()) {
    fail_usage("{}: {}: {} is \"{}\"; {}", entries.value().where, entries.where(), key, word,
               did_you_mean(word, known));
  }
  return word;
}

/// What tables call a system; empty for the empty word.
std::string network_label(const std::string& word, const Entries& entries) {
  std::vector<std::string> known;
  std::ranges::transform(config::systems(), std::back_inserter(known),
                         [](const config::System& system) { return std::string(system.word); });
  return one_of(word, known, entries, "system").empty() ? "" : std::string(config::system_of(word).label);
}

/// \param higher_better  of the metrics that this software lacks
FieldMetric metric_of(const std::string& key, const FieldTable& table, const std::vector<std::string>& higher_better) {
  for (const task::Task& task : task::all()) {
    const auto found = std::ranges::find(task.metrics, key, &task::Metric::key);
    if (found != task.metrics.end()) {
      const std::string unit = found->unit == task::kDepthUnit ? table.abs_err_unit : std::string(found->unit);
      return {.key = key,
              .header = unit.empty() ? std::string(found->header) : fmt::format("{} ({})", found->header, unit),
              .task = std::string(task.key),
              .factor = unit == "cm" ? 100.0 : found->factor};
    }
  }
  const bool is_higher = std::ranges::find(higher_better, key) != higher_better.end();
  return {.key = key, .header = fmt::format("{} ({} better)", key, is_higher ? "higher" : "lower")};
}

FieldRow read_field_row(Entries row, const FieldTable& table, const std::string& system_of_table) {
  FieldRow result;
  result.method = row.needed_text("method");
  result.weighting = row.text("weighting");
  const std::string system = row.text("system");
  result.network = network_label(row.value().find("system") == nullptr ? system_of_table : system, row);
  std::vector<std::string> settings = {row.text("setting")};
  if (const std::string losses = row.text("losses"); !losses.empty()) {
    settings.push_back(fmt::format("losses weighed by {}", losses));
  }
  if (const auto size = row.figure("size_factor")) {
    settings.push_back(fmt::format("{} x one SegNet", size->text));
  }
  std::erase(settings, "");
  result.setting = fmt::format("{}", fmt::join(settings, ", "));
  result.values = row.figures("values", table.metrics.size());
  result.delta_m = row.figure("delta_m");
  const auto deviation = row.figure("delta_m_sd");
  result.delta_m_deviation = deviation ? deviation->text : "";
  result.is_of_one_text = row.texts("also").empty() && row.value().find("also") != nullptr;
  row.refuse_others();
  return result;
}

std::optional<FieldDelta> read_delta(Entries delta, const FieldTable& table) {
  const std::string better = one_of(delta.needed_text("better"), {"lower", "higher"}, delta, "better");
  const std::string mean_over = one_of(delta.needed_text("mean_over"), {"metrics", "tasks"}, delta, "mean_over");
  const std::string base = delta.needed_text("base");
  delta.refuse_others();
  const auto row = std::ranges::find(table.rows, base, &FieldRow::method);
  if (row == table.rows.end()) {
    fail_usage("{}: {}: base is \"{}\", and no row has that method", delta.value().where, delta.where(), base);
  }
  return FieldDelta{.form = delta_form_of(better == "lower" ? "field" : "paper", mean_over),
                    .base = static_cast<std::size_t>(row - table.rows.begin())};
}

FieldTable read_field_table(const TomlValue& value) {
  Entries entries(value, fmt::format("[{}]", value.key));
  FieldTable table;
  table.id = value.key;
  table.title = entries.needed_text("title");
  table.dataset = entries.needed_text("dataset");
  table.split = entries.text("split");
  table.tasks = entries.texts("tasks");
  const std::optional<Figure> classes = entries.figure("classes");
  table.num_classes = classes ? static_cast<std::int64_t>(classes->value) : 0;
  const std::vector<Figure> size = entries.figures("size", 2);
  table.height = static_cast<std::int64_t>(size[0].value);
  table.width = static_cast<std::int64_t>(size[1].value);
  table.abs_err_unit = one_of(entries.text("abs_err_unit"), {"m", "cm", "inverse depth"}, entries, "abs_err_unit");
  const std::vector<std::string> higher_better = entries.texts("higher_better");
  for (const std::string& key : entries.texts("metrics")) {
    table.metrics.push_back(metric_of(key, table, higher_better));
  }
  const std::string system = entries.text("system");
  static_cast<void>(entries.text("encoder"));
  table.is_pretrained = entries.boolean("pretrained");
  table.has_normalised_images = entries.boolean("normalised_images");
  table.train = entries.table("train");
  table.augmentation = entries.text("augmentation");
  if (const std::optional<Figure> seeds = entries.figure("seeds")) {
    table.num_seeds = static_cast<std::int64_t>(seeds->value);
  }
  table.checkpoint = one_of(entries.text("checkpoint"), checkpoint_names(), entries, "checkpoint");
  for (const auto& [task, word] : entries.table("pooling")) {
    table.pooling[task] = one_of(word, {"dataset", "per_batch", "per_image"}, entries, "pooling");
  }
  if (const TomlValue* source = entries.find("source", Kind::table, "a table")) {
    Entries of_source(*source, entries.where() + " source");
    table.source = fmt::format("{}, {}", of_source.needed_text("text"), of_source.needed_text("where"));
    static_cast<void>(of_source.text("read"));
    of_source.refuse_others();
  }
  table.recipe = entries.text("recipe");
  table.is_comparable = entries.boolean("comparable").value_or(true);
  if (const TomlValue* rows = entries.find("rows", Kind::list, "a list of tables")) {
    for (const TomlValue& row : rows->list) {
      const std::string where = fmt::format("{} row {}", entries.where(), table.rows.size() + 1);
      table.rows.push_back(read_field_row(Entries(row, where), table, system));
    }
  }
  if (const TomlValue* delta = entries.find("delta", Kind::table, "a table")) {
    table.delta = read_delta(Entries(*delta, entries.where() + " delta"), table);
  }
  entries.refuse_others();
  return table;
}

/// The table's tasks, each with the metrics that the table has. \param metrics  holds them
task::Tasks tasks_with_metrics(const FieldTable& table, std::vector<std::vector<task::Metric>>& metrics) {
  task::Tasks tasks;
  for (const task::Task& task : task::all()) {
    std::vector<task::Metric>& of_task = metrics.emplace_back();
    std::ranges::copy_if(task.metrics, std::back_inserter(of_task), [&table](const task::Metric& metric) {
      return std::ranges::find(table.metrics, metric.key, &FieldMetric::key) != table.metrics.end();
    });
    if (!of_task.empty()) {
      tasks.push_back(task);
      tasks.back().metrics = of_task;
    }
  }
  return tasks;
}

}  // namespace

double Figure::rounding() const {
  const std::size_t point = text.find('.');
  const std::size_t decimals = point == std::string::npos ? 0 : text.size() - point - 1;
  return 0.5 * std::pow(10.0, -static_cast<double>(decimals));
}

std::vector<FieldTable> field_tables(const std::optional<std::filesystem::path>& file) {
  const TomlValue root =
      parse_toml(file ? io::read_file(*file) : std::string(kFieldText), file ? file->string() : "field_tables.toml");
  std::vector<FieldTable> tables;
  std::ranges::transform(root.table, std::back_inserter(tables), read_field_table);
  return tables;
}

const FieldTable& field_table(const std::vector<FieldTable>& tables, const std::string& id) {
  const auto found = std::ranges::find(tables, id, &FieldTable::id);
  if (found == tables.end()) {
    std::vector<std::string> known;
    std::ranges::transform(tables, std::back_inserter(known), &FieldTable::id);
    fail_usage("--field: there is no table \"{}\"; {}", id, did_you_mean(id, known, "`--field list` lists them"));
  }
  return *found;
}

run::MetricValues figures_of(const FieldTable& table, const FieldRow& row) {
  run::MetricValues figures;
  for (std::size_t i = 0; i < table.metrics.size(); ++i) {
    if (!table.metrics[i].task.empty()) {
      figures[table.metrics[i].key] = row.values[i].value;
    }
  }
  return figures;
}

std::optional<double> delta_m_over_base(const FieldTable& table, const run::MetricValues& values) {
  if (!table.delta) {
    return std::nullopt;
  }
  std::vector<std::vector<task::Metric>> metrics;
  metrics.reserve(task::all().size());
  const task::Tasks tasks = tasks_with_metrics(table, metrics);
  return delta_m(values, figures_of(table, table.rows[table.delta->base]), tasks, table.delta->form);
}

std::optional<double> unexplained_delta_m(const FieldTable& table, const FieldRow& row) {
  const std::optional<double> recomputed = delta_m_over_base(table, figures_of(table, row));
  if (!recomputed || !row.delta_m) {
    return std::nullopt;
  }
  std::map<std::string, std::size_t> metrics_of_task;
  for (const FieldMetric& metric : table.metrics) {
    ++metrics_of_task[metric.task];
  }
  const FieldRow& base = table.rows[table.delta->base];
  double explained = row.delta_m->rounding();
  for (std::size_t i = 0; i < table.metrics.size(); ++i) {
    const double num_alike = table.delta->form.mean_over == DeltaMean::metrics
                                 ? static_cast<double>(table.metrics.size())
                                 : static_cast<double>(metrics_of_task.size() * metrics_of_task[table.metrics[i].task]);
    const double of_base = base.values[i].value;
    explained +=
        100.0 / num_alike *
        (row.values[i].rounding() / of_base + row.values[i].value * base.values[i].rounding() / of_base / of_base);
  }
  const double difference = row.delta_m->value - *recomputed;
  return std::abs(difference) > explained ? std::optional(difference) : std::nullopt;
}

}  // namespace xtasc::report
