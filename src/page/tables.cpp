#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "page/json_parts.hpp"
#include "report/aggregate.hpp"
#include "report/metric_columns.hpp"
#include "report/table_markdown.hpp"
#include "task/task.hpp"

namespace xtasc::page {

namespace {

using json_fields::Json;

/// What a column of numbers is of.
struct ColumnMeaning {
  std::string_view task;                 ///< its key; empty: of no single one
  std::optional<report::Better> wanted;  ///< absent: neither way is better
};

ColumnMeaning meaning_of(std::string_view key) {
  constexpr std::string_view kPublished = "_paper";
  if (key.ends_with(kPublished)) {
    key.remove_suffix(kPublished.size());
  }
  if (key == report::delta_m_key({.sign = report::DeltaSign::field})) {
    return {"", report::Better::lower};
  }
  if (key.starts_with(report::delta_m_key({}))) {
    return {"", report::Better::higher};
  }
  for (const task::Task& task : task::all()) {
    for (const task::Metric& metric : task.metrics) {
      if (metric.key == key) {
        return {task.key, report::better(metric)};
      }
    }
  }
  return {};
}

/// Of a column in which no cell stands out by more than the deviations: the best number there is.
const report::Cell* leader_of(const report::Sheet& sheet, std::size_t column, report::Better wanted) {
  const report::Cell* leader = nullptr;
  std::size_t count = 0;
  for (const report::SheetRow& row : sheet.rows) {
    const report::Cell& cell = row.cells.at(column);
    if (cell.is_best) {
      return nullptr;
    }
    count += cell.value ? 1 : 0;
    if (cell.value && (leader == nullptr || (wanted == report::Better::higher ? *cell.value > *leader->value
                                                                              : *cell.value < *leader->value))) {
      leader = &cell;
    }
  }
  return count > 1 ? leader : nullptr;
}

std::string_view name_of(Place place) {
  switch (place) {
    case Place::state:
      return "state";
    case Place::each:
      return "each";
    case Place::mean:
      return "mean";
    case Place::published:
      return "published";
  }
  return {};
}

Json cell_json(const report::Cell& cell, bool is_leader) {
  Json json = {{"t", cell.text}};
  if (cell.value) {
    json["v"] = json_fields::number(*cell.value);
  }
  if (cell.is_best) {
    json["best"] = true;
  }
  if (is_leader) {
    json["lead"] = true;
  }
  if (!cell.footnotes.empty()) {
    json["notes"] = cell.footnotes;
  }
  return json;
}

Json table_json(const PageTable& table, const Page& page) {
  const report::Sheet& sheet = table.sheet;
  Json columns = Json::array();
  std::vector<const report::Cell*> leaders;
  for (std::size_t i = 0; i < sheet.columns.size(); ++i) {
    const report::Column& column = sheet.columns[i];
    const ColumnMeaning meaning = meaning_of(column.key);
    Json json = {{"key", column.key}, {"header", column.header}, {"text", column.is_text}};
    if (meaning.wanted) {
      json["better"] = *meaning.wanted == report::Better::higher ? "higher" : "lower";
    }
    if (!meaning.task.empty()) {
      json["task"] = task::of_key(meaning.task).name;
    }
    columns.push_back(std::move(json));
    leaders.push_back(meaning.wanted && table.place != Place::published ? leader_of(sheet, i, *meaning.wanted)
                                                                        : nullptr);
  }
  const auto index_of = [&page](const std::filesystem::path& folder) {
    return std::distance(page.runs.begin(), std::ranges::find(page.runs, folder, &PageRun::folder));
  };
  Json rows = Json::array();
  std::string data;
  for (const report::SheetRow& row : sheet.rows) {
    Json cells = Json::array();
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      cells.push_back(cell_json(row.cells[i], leaders[i] == &row.cells[i]));
      if (table.place == Place::state && sheet.columns[i].key == "state") {
        cells.back()["state"] = true;
      } else if (table.place == Place::state && sheet.columns[i].key == "epoch" && row.cells[i].value) {
        cells.back()["share"] = *row.cells[i].value;
      }
    }
    Json runs = Json::array();
    for (const std::filesystem::path& folder : row.runs) {
      if (const auto index = index_of(folder); index < std::ssize(page.runs)) {
        runs.push_back(index);
      }
    }
    rows.push_back({{"cells", std::move(cells)}, {"runs", runs}});
    if (!runs.empty()) {
      const PageRun& first = page.runs[runs.front().get<std::size_t>()];
      data = data_key(first.provenance);
      rows.back()["style"] = first.style;
    }
    if (row.starts_block) {
      rows.back()["block"] = true;
    }
  }
  return {{"place", name_of(table.place)},
          {"protocol", table.protocol ? name(*table.protocol) : ""},
          {"data", table.place == Place::published ? "" : data},
          {"title", sheet.title},
          {"caption", sheet.caption},
          {"columns", std::move(columns)},
          {"rows", std::move(rows)},
          {"footnotes", sheet.footnotes},
          {"remarks", sheet.remarks}};
}

}  // namespace

void add_seed_tables(Page& page, const std::vector<report::Table>& tables) {
  for (const report::Table& table : tables) {
    page.tables.push_back({report::to_sheet(table), Place::each, table.protocol});
  }
}

void add_mean_tables(Page& page, const std::vector<report::Table>& tables,
                     const std::vector<report::LabelColumn>& labels) {
  for (const report::Table& table : tables) {
    const std::vector<report::SeedGroup> groups = report::aggregate(table);
    if (std::ranges::any_of(groups, [](const report::SeedGroup& group) { return group.seeds.size() > 1; })) {
      page.tables.push_back(
          {report::axes_sheet(groups, labels, table.protocol, table.checkpoint), Place::mean, table.protocol});
    }
  }
}

Json tables_json(const Page& page) {
  Json tables = Json::array();
  for (const PageTable& table : page.tables) {
    tables.push_back(table_json(table, page));
  }
  return tables;
}

}  // namespace xtasc::page
