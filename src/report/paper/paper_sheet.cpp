#include "report/paper/paper_sheet.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "report/axes_sheet.hpp"
#include "report/metric_columns.hpp"
#include "report/table_markdown.hpp"

namespace xtasc::report {

namespace {

/// The table's metrics, with the decimals that the paper prints.
std::vector<task::Metric> printed_metrics(const PublishedTable& table) {
  std::vector<task::Metric> metrics = metrics_of(tasks_of(table));
  for (task::Metric& metric : metrics) {
    const auto other = std::ranges::find(table.data->decimals, metric.key, &PrintedDecimals::metric);
    metric.decimals = other == table.data->decimals.end() ? metric.decimals : other->decimals;
  }
  return metrics;
}

/// "mIoU and PixAcc in %", "RelErr a ratio": metrics of one unit.
std::string unit_text(const std::vector<std::string_view>& headers, std::string_view unit) {
  const std::string names = fmt::format("{}", fmt::join(headers, " and "));
  if (unit == "ratio") {
    return names + (headers.size() == 1 ? " a ratio" : " ratios");
  }
  return unit.empty() ? names : fmt::format("{} in {}", names, unit);
}

/// All metrics and their units, neighbours of one unit together.
std::string units_text(const PublishedTable& table) {
  std::vector<std::string> texts;
  std::vector<std::string_view> headers;
  const std::vector<task::Metric> metrics = metrics_of(tasks_of(table));
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const std::string_view unit = metrics[i].unit;
    headers.push_back(metrics[i].header);
    if (i + 1 == metrics.size() || metrics[i + 1].unit != unit) {
      texts.push_back(unit_text(headers, unit == task::kDepthUnit ? table.data->depth_unit : unit));
      headers.clear();
    }
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

bool has_delta_m(const PublishedTable& table) {
  return std::ranges::any_of(table.rows, [](const PublishedRow& row) { return row.delta_m.has_value(); });
}

bool has_params(const PublishedTable& table) {
  return std::ranges::any_of(table.rows, [](const PublishedRow& row) { return row.params.has_value(); });
}

bool has_weighting(const PublishedTable& table) {
  return table.layout == PaperLayout::weightings || table.layout == PaperLayout::systems;
}

void add_columns(Sheet& sheet, const PublishedTable& table) {
  auto& columns = sheet.columns;
  columns.push_back({.key = table.layout == PaperLayout::encoders ? "encoder" : "model",
                     .header = table.layout == PaperLayout::encoders ? "ResNet" : "Model",
                     .is_text = true});
  if (has_weighting(table)) {
    columns.push_back({.key = "weighting", .header = "Weighting", .is_text = true});
  }
  columns.push_back({.key = "seeds", .header = "Our seeds", .levels = {"Seeds"}, .is_text = true});
  if (has_params(table)) {
    columns.push_back({.key = "params_paper", .header = "#P paper", .levels = {"#P (1e7)", "paper"}});
    columns.push_back({.key = "params", .header = "#P ours", .levels = {"#P (1e7)", "ours"}});
  }
  for (const task::Task& task : tasks_of(table)) {
    for (const task::Metric& metric : task.metrics) {
      const std::string group =
          fmt::format("{} ({} better)", title_of(task), metric.higher_is_better ? "higher" : "lower");
      const std::string print(metric.print.empty() ? metric.header : metric.print);
      columns.push_back({.key = fmt::format("{}_paper", metric.key),
                         .header = fmt::format("{} paper", metric.header),
                         .levels = {group, print, "paper"}});
      columns.push_back({.key = std::string(metric.key),
                         .header = fmt::format("{} ours", metric.header),
                         .levels = {group, print, "ours"},
                         .has_deviation = true});
    }
  }
  if (has_delta_m(table)) {
    const std::string group = "Performance (higher)";
    columns.push_back({.key = "delta_m_paper", .header = "Delta_m paper", .levels = {group, "Delta_m", "paper"}});
    columns.push_back({.key = "delta_m_eq_17", .header = "Delta_m eq. 17", .levels = {group, "Delta_m", "eq. 17"}});
    columns.push_back(
        {.key = "delta_m", .header = "Delta_m ours", .levels = {group, "Delta_m", "ours"}, .has_deviation = true});
  }
}

std::string weighting_text(const std::string& word) {
  return word.empty() ? "-" : word == "gradient" ? "gradient-based" : word;
}

std::string encoder_text(const PublishedRow& row) {
  return row.encoder.substr(row.encoder.find_first_of("0123456789")) + (row.is_pretrained ? " *" : "");
}

/// The row's name, weighting, and what there is of ours.
void add_labels(SheetRow& line, Sheet& sheet, const PublishedTable& table, const PublishedRow& row,
                const SeedGroup* group) {
  line.cells.push_back(text_cell(table.layout == PaperLayout::encoders ? encoder_text(row) : row.model));
  if (has_weighting(table)) {
    line.cells.push_back(text_cell(weighting_text(row.weighting)));
  }
  Cell seeds = text_cell("published only");
  if (is_ours(row)) {
    seeds = text_cell(group == nullptr ? "missing" : fmt::format("{}", group->seeds.size()));
  }
  if (group != nullptr) {
    for (const std::string& note : group->notes) {
      seeds.footnotes.push_back(sheet.add_footnote(note));
    }
  }
  line.cells.push_back(std::move(seeds));
}

void add_metrics(SheetRow& line, Sheet& sheet, const PublishedTable& table, const PublishedRow& row,
                 const SeedGroup* group, const std::vector<Misprint>& wrong) {
  const auto marked = [&](Cell cell, std::string_view metric) {
    for (const Misprint& misprint : wrong) {
      if (misprint.metric == metric) {
        cell.footnotes.push_back(sheet.add_footnote(misprint.text));
      }
    }
    return cell;
  };
  if (has_params(table)) {
    line.cells.push_back(marked(number_cell(row.params, 2), "params"));
    line.cells.push_back(group == nullptr ? Cell{} : parameters_cell(group->num_parameters));
  }
  for (const task::Metric& metric : printed_metrics(table)) {
    line.cells.push_back(marked(number_cell(value_of(row.metrics, metric.key), metric.decimals), metric.key));
    line.cells.push_back(group == nullptr ? Cell{} : metric_cell(*group, metric));
  }
}

void add_delta_m(SheetRow& line, Sheet& sheet, const PublishedTable& table, const PublishedRow& row,
                 const SeedGroup* group, const std::vector<Misprint>& wrong, const std::vector<PublishedTable>& all) {
  Cell printed = number_cell(row.delta_m, 2);
  Cell recomputed = number_cell(recomputed_delta_m(table, row, all), 2);
  for (const Misprint& misprint : wrong) {
    if (misprint.metric == "delta_m") {
      printed.footnotes.push_back(sheet.add_footnote(misprint.text));
    }
  }
  Cell ours = group == nullptr ? Cell{} : delta_m_cell(*group, sheet);
  if (group != nullptr && !ours.value) {
    ours.footnotes.push_back(sheet.add_footnote(fmt::format(
        "Delta_m needs a finished Base ST-Net: `xtasc-sweep run sweeps/table_{}.toml --only \"Base ST-Net\"`"
        " makes it",
        table.data->baseline_table)));
  }
  for (Cell* cell : {&printed, &recomputed, &ours}) {
    line.cells.push_back(std::move(*cell));
  }
}

std::string caption_of(const PublishedTable& table, const PaperMatch& match, Protocol protocol, Checkpoint checkpoint) {
  std::string text = fmt::format(
      "`{}` protocol, {}. {} Ours: mean +- sample standard deviation over seeds; paper: as published. "
      "{}.{} {}",
      name(protocol), text_of(checkpoint), protocol_text(protocol, tasks_of(table)), units_text(table),
      has_delta_m(table) ? " Delta_m in %; eq. 17: recomputed from the published figures by the paper's eq. 17." : "",
      kBestRule);
  const auto shown = std::ranges::find_if(match.groups, [](const SeedGroup* group) { return group != nullptr; });
  std::vector<const run::RunSummary*> runs;
  for (const SeedGroup* group : match.groups) {
    if (group != nullptr) {
      runs.push_back(&group->first());
    }
  }
  if (shown != match.groups.end()) {
    const run::Provenance& from = (*shown)->first().provenance;
    text += fmt::format(
        " Ours: {}, pack {}{}", data_text(from), from.pack_digest.substr(0, 12),
        match.departures.empty() ? ", the paper's settings." : fmt::format("; {}.", fmt::join(match.departures, ", ")));
    text += fmt::format(" {}", chosen_text(checkpoint, runs));
  }
  return text;
}

/// A note to each row that is missing, or has fewer seeds than others: the command that makes it. Called after all
/// other notes have their numbers.
void add_commands(Sheet& sheet, const PublishedTable& table, const PaperMatch& match) {
  std::size_t most_seeds = 0;
  for (const SeedGroup* group : match.groups) {
    most_seeds = std::max(most_seeds, group == nullptr ? 0 : group->seeds.size());
  }
  const auto seeds = static_cast<std::size_t>(
      std::distance(sheet.columns.begin(), std::ranges::find(sheet.columns, "seeds", &Column::key)));
  for (std::size_t i = 0; i < match.rows.size(); ++i) {
    const std::size_t num_seeds = match.groups[i] == nullptr ? 0 : match.groups[i]->seeds.size();
    if (!is_ours(match.rows[i]) || (num_seeds > 0 && num_seeds == most_seeds)) {
      continue;
    }
    std::string only = fmt::format("--only \"{}\"", sweep_row_of(table, match.rows[i]));
    if (const std::string_view needed = needed_row_of(match.rows[i]); !needed.empty()) {
      only = fmt::format("--only \"{}\" {}", needed, only);
    }
    sheet.rows[i].cells.at(seeds).footnotes.push_back(sheet.add_footnote(
        fmt::format("{}: `xtasc-sweep run {} {}` makes {}",
                    num_seeds == 0 ? "Missing" : fmt::format("{} of {} seeds", num_seeds, most_seeds), table.sweep,
                    only, num_seeds == 0 ? "it" : "what is missing")));
  }
}

void add_remarks(Sheet& sheet, const PublishedTable& table, const PaperMatch& match) {
  int num_missing = 0;
  std::vector<std::string> others;
  for (std::size_t i = 0; i < match.rows.size(); ++i) {
    const PublishedRow& row = match.rows[i];
    if (!is_ours(row)) {
      others.push_back(row.model);
    }
    num_missing += is_ours(row) && match.groups[i] == nullptr ? 1 : 0;
  }
  if (!others.empty()) {
    sheet.remarks.push_back(
        fmt::format("Not part of this software, their published figures only: {}", fmt::join(others, ", ")));
  }
  if (std::ranges::any_of(match.rows, &PublishedRow::is_pretrained)) {
    sheet.remarks.push_back("34 *: weights pretrained on ImageNet");
  }
  const char* settings = match.departures.empty() ? "" : ", with the paper's settings";
  if (num_missing == 1) {
    sheet.remarks.push_back(
        fmt::format("On a Slurm cluster `xtasc-sweep submit` takes the place of `xtasc-sweep run`{}", settings));
  } else if (num_missing > 1) {
    sheet.remarks.push_back(
        fmt::format("All that is missing: `xtasc-sweep run {}` makes it on this machine, `xtasc-sweep submit {}` on a "
                    "Slurm cluster{}",
                    table.sweep, table.sweep, settings));
  }
  if (match.num_other_groups > 0) {
    sheet.remarks.push_back(
        fmt::format("{} finished net{} of these rows {} not shown, having other settings{}", match.num_other_groups,
                    match.num_other_groups == 1 ? "" : "s", match.num_other_groups == 1 ? "is" : "are",
                    match.departures.empty() ? "; `--reduced` shows what departs from the paper's settings" : ""));
  }
}

}  // namespace

Sheet paper_sheet(const PublishedTable& table, const std::vector<PublishedTable>& all, const PaperMatch& match,
                  Protocol protocol, Checkpoint checkpoint) {
  Sheet sheet{.label = table.number,
              .title = fmt::format("Table {}. {}", table.number, table.title),
              .caption = caption_of(table, match, protocol, checkpoint),
              .columns = {},
              .rows = {},
              .footnotes = {}};
  add_columns(sheet, table);
  for (std::size_t i = 0; i < match.rows.size(); ++i) {
    const PublishedRow& row = match.rows[i];
    const std::vector<Misprint> wrong = misprints(table, row, all);
    SheetRow line;
    // The lines of one model, or those of others' systems and ours, stand together.
    line.starts_block = i > 0 && ((table.layout == PaperLayout::weightings && row.model != match.rows[i - 1].model) ||
                                  is_ours(row) != is_ours(match.rows[i - 1]));
    add_labels(line, sheet, table, row, match.groups[i]);
    add_metrics(line, sheet, table, row, match.groups[i], wrong);
    if (has_delta_m(table)) {
      add_delta_m(line, sheet, table, row, match.groups[i], wrong, all);
    }
    line.runs = match.groups[i] == nullptr ? std::vector<std::filesystem::path>{} : folders_of(*match.groups[i]);
    sheet.rows.push_back(std::move(line));
  }
  const auto column = [&sheet](std::string_view key) {
    return static_cast<std::size_t>(
        std::distance(sheet.columns.begin(), std::ranges::find(sheet.columns, key, &Column::key)));
  };
  for (const task::Metric& metric : printed_metrics(table)) {
    mark_best(sheet, column(metric.key), better(metric));
  }
  if (has_delta_m(table)) {
    mark_best(sheet, column("delta_m"), Better::higher);
  }
  add_commands(sheet, table, match);
  add_remarks(sheet, table, match);
  return sheet;
}

}  // namespace xtasc::report
