#include "report/field/field_sheet.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "report/axes_sheet.hpp"
#include "report/field/field_protocol.hpp"
#include "report/metric_columns.hpp"
#include "report/table_markdown.hpp"

namespace xtasc::report {

namespace {

/// Whether the net is of the table's data set and has all tasks whose metrics the table prints.
bool belongs(const SeedGroup& group, const FieldTable& table) {
  const task::Tasks tasks = tasks_of(group);
  return table.is_comparable && !group.is_lone_part && group.first().provenance.pack_dataset == table.dataset &&
         std::ranges::all_of(table.metrics, [&tasks](const FieldMetric& metric) {
           return metric.task.empty() || std::ranges::count(tasks, metric.task, &task::Task::key) > 0;
         });
}

/// The table's metrics of a net, each by the protocol that it is pooled by, in the table's units.
SeedGroup pooled(const SeedGroup& paper, const SeedGroup& dataset, const FieldTable& table,
                 const std::optional<Protocol>& forced) {
  SeedGroup group = dataset;
  group.metrics.clear();
  for (SeedResult& seed : group.seeds) {
    seed.metrics.clear();
  }
  for (const FieldMetric& metric : table.metrics) {
    if (metric.task.empty()) {
      continue;
    }
    const SeedGroup& from = protocol_of(table, metric.task, forced) == Protocol::paper ? paper : dataset;
    std::vector<double> values;
    for (std::size_t i = 0; i < group.seeds.size(); ++i) {
      if (const auto value = value_of(from.seeds[i].metrics, metric.key)) {
        values.push_back(*value * metric.factor);
        group.seeds[i].metrics[metric.key] = values.back();
      }
    }
    if (!values.empty()) {
      group.metrics[metric.key] = moments(values);
    }
  }
  return group;
}

/// Over the published base, seed by seed.
std::optional<Moments> delta_m_of(const SeedGroup& group, const FieldTable& table) {
  std::vector<double> deltas;
  for (const SeedResult& seed : group.seeds) {
    if (const std::optional<double> delta = delta_m_over_base(table, seed.metrics)) {
      deltas.push_back(*delta);
    }
  }
  return deltas.empty() ? std::nullopt : std::optional(moments(deltas));
}

std::size_t decimals_of(const Figure& figure) {
  const std::size_t point = figure.text.find('.');
  return point == std::string::npos ? 0 : figure.text.size() - point - 1;
}

/// The most that a published row has.
int decimals_of_column(const FieldTable& table, std::size_t column) {
  std::size_t most = 0;
  for (const FieldRow& row : table.rows) {
    most = std::max(most, decimals_of(row.values[column]));
  }
  return static_cast<int>(most);
}

std::vector<Column> field_columns(const FieldTable& table) {
  std::vector<Column> columns = {{.key = "whose", .header = "Whose", .is_text = true},
                                 {.key = "method", .header = "Method", .is_text = true},
                                 {.key = "network", .header = "Network", .is_text = true},
                                 {.key = "setting", .header = "Setting", .is_text = true},
                                 {.key = "seeds", .header = "Seeds"}};
  for (const FieldMetric& metric : table.metrics) {
    columns.push_back({.key = metric.key, .header = metric.header, .has_deviation = true});
  }
  if (table.delta) {
    columns.push_back(
        {.key = delta_m_key(table.delta->form), .header = delta_m_header(table.delta->form), .has_deviation = true});
  }
  return columns;
}

Cell as_printed(const Figure& figure) {
  return {.text = figure.text, .value = figure.value};
}

Cell or_dash(const std::string& text) {
  return text_cell(text.empty() ? "-" : text);
}

SheetRow published_row(const FieldTable& table, const FieldRow& row, Sheet& sheet) {
  SheetRow line{.cells = {text_cell("published"), text_cell(row.method), or_dash(row.network), or_dash(row.setting)}};
  line.cells.push_back(table.num_seeds ? number_cell(static_cast<double>(*table.num_seeds), 0) : Cell{});
  std::ranges::transform(row.values, std::back_inserter(line.cells), as_printed);
  if (!table.delta) {
    return line;
  }
  Cell delta = row.delta_m ? as_printed(*row.delta_m) : Cell{};
  if (!row.delta_m_deviation.empty()) {
    delta.text += " +- " + row.delta_m_deviation;
    delta.deviation = std::stod(row.delta_m_deviation);
  }
  if (const std::optional<double> excess = unexplained_delta_m(table, row)) {
    delta.footnotes.push_back(sheet.add_footnote(
        fmt::format("{} of {} is not what its printed figures give over {}: {:.2f}", row.delta_m->text, row.method,
                    table.rows[table.delta->base].method, row.delta_m->value - *excess)));
  }
  line.cells.push_back(std::move(delta));
  return line;
}

/// \param setting  in what the net differs from others of its name
SheetRow our_row(const SeedGroup& group, const std::string& setting, const FieldTable& table,
                 const std::vector<Aspect>& aspects, Sheet& sheet) {
  Cell whose = text_cell("ours");
  std::vector<std::string> notes = group.notes;
  if (const std::vector<std::string> departures = departures_of(group, aspects); !departures.empty()) {
    notes.push_back(fmt::format("Not the published protocol: {}", fmt::join(departures, "; ")));
  }
  std::ranges::transform(notes, std::back_inserter(whose.footnotes),
                         [&sheet](const std::string& note) { return sheet.add_footnote(note); });
  const std::string network = group.model + (group.encoder == "-" ? "" : ", " + group.encoder);
  SheetRow line{.cells = {std::move(whose), text_cell(group.weighting), text_cell(network), or_dash(setting)}};
  line.runs = folders_of(group);
  line.cells.push_back(number_cell(static_cast<double>(group.seeds.size()), 0));
  for (std::size_t i = 0; i < table.metrics.size(); ++i) {
    line.cells.push_back(moments_cell(moments_of(group, table.metrics[i].key), decimals_of_column(table, i)));
  }
  if (table.delta) {
    line.cells.push_back(moments_cell(delta_m_of(group, table), 2));
  }
  return line;
}

/// In what each group differs from those of its model, encoder and weighting: "lambda_1 0.01".
std::vector<std::string> own_settings(const std::vector<SeedGroup>& groups) {
  std::vector<std::string> settings(groups.size());
  for (const std::string& key : keys_that_tell_apart(groups, model_columns())) {
    const LabelColumn column = axis_column(key);
    for (std::size_t i = 0; i < groups.size(); ++i) {
      settings[i] += fmt::format("{}{} {}", settings[i].empty() ? "" : ", ", column.header, column.text(groups[i]));
    }
  }
  return settings;
}

std::string field_caption(const FieldTable& table, const std::vector<Aspect>& aspects,
                          const std::vector<SeedGroup>& groups) {
  std::vector<std::string> published;
  for (const Aspect& aspect : aspects) {
    if (!aspect.is_implied) {
      published.push_back(aspect.published);
    }
  }
  std::string text = fmt::format("Published: {}. Its protocol: {}.", table.source, fmt::join(published, "; "));
  if (table.delta) {
    text += fmt::format(" {} Over the published row {}.", sign_text(table.delta->form),
                        table.rows[table.delta->base].method);
  }
  if (!groups.empty()) {
    std::set<std::string> packs;
    for (const SeedGroup& group : groups) {
      packs.insert(group.first().provenance.pack_digest.substr(0, 12));
    }
    text += fmt::format(" Ours: mean +- sample standard deviation over seeds; pack{} {}.", packs.size() == 1 ? "" : "s",
                        fmt::join(packs, ", "));
  }
  return text;
}

void add_field_remarks(Sheet& sheet, const FieldTable& table, std::size_t num_left_out) {
  std::vector<std::string> of_one_text;
  for (const FieldRow& row : table.rows) {
    if (row.is_of_one_text) {
      of_one_text.push_back(row.method);
    }
  }
  if (!of_one_text.empty()) {
    sheet.remarks.push_back(
        fmt::format("Found in one text only, not compared with another: {}", fmt::join(of_one_text, ", ")));
  }
  if (!table.is_comparable) {
    sheet.remarks.emplace_back("For orientation: nothing that this software trains can stand beside it");
  } else if (!table.recipe.empty()) {
    sheet.remarks.push_back(fmt::format("The published protocol as a config: `{}`", table.recipe));
  }
  if (num_left_out > 0) {
    sheet.remarks.push_back(fmt::format("{} finished net{} not shown: of another data set, or without one of the tasks",
                                        num_left_out, num_left_out == 1 ? " is" : "s are"));
  }
}

}  // namespace

Sheet field_sheet(const FieldTable& table, const NetsByProtocol& nets, Checkpoint checkpoint,
                  const std::optional<Protocol>& forced) {
  check(nets.paper.size() == nets.dataset.size(), "{} nets by the paper's protocol, {} by that of the data set",
        nets.paper.size(), nets.dataset.size());
  std::vector<SeedGroup> ours;
  for (std::size_t i = 0; i < nets.paper.size(); ++i) {
    if (belongs(nets.paper[i], table)) {
      ours.push_back(pooled(nets.paper[i], nets.dataset[i], table, forced));
    }
  }
  const std::vector<Aspect> aspects = aspects_of(table, checkpoint, forced);
  Sheet sheet{.label = table.id,
              .title = fmt::format("{}: {}", table.id, table.title),
              .caption = field_caption(table, aspects, ours),
              .columns = field_columns(table),
              .rows = {},
              .footnotes = {}};
  for (const FieldRow& row : table.rows) {
    sheet.rows.push_back(published_row(table, row, sheet));
  }
  const std::vector<std::string> settings = own_settings(ours);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    sheet.rows.push_back(our_row(ours[i], settings[i], table, aspects, sheet));
    sheet.rows.back().starts_block = i == 0;
  }
  add_field_remarks(sheet, table, nets.paper.size() - ours.size());
  return sheet;
}

}  // namespace xtasc::report
