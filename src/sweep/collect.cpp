#include "sweep/collect.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/error.hpp"
#include "report/axes_sheet.hpp"
#include "report/metric_columns.hpp"
#include "report/statistics.hpp"
#include "run/pack_now.hpp"
#include "sweep/folder.hpp"
#include "task/task.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

using report::SeedGroup;

/// What a table's rows are compared by: their metrics, and Delta_m.
struct TestedMetric {
  std::string key, header;
};

std::vector<TestedMetric> tested_metrics(const task::Tasks& tasks) {
  std::vector<TestedMetric> tested;
  for (const task::Metric& metric : report::metrics_of(tasks)) {
    tested.push_back({std::string(metric.key), std::string(metric.header)});
  }
  tested.push_back({"delta_m", "Delta_m"});
  return tested;
}

/// The place of each run's row in the sweep, and its name, by the run's folder.
using Rows = std::map<fs::path, std::pair<std::size_t, std::string>>;

Rows rows_of(const Sweep& sweep, std::span<const RunStatus> statuses) {
  Rows rows;
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < sweep.runs.size(); ++i) {
    const std::string& row = sweep.runs[i].row;
    rows[statuses[i].folder] = {places.emplace(row, places.size()).first->second, row};
  }
  return rows;
}

const std::pair<std::size_t, std::string>& row_of(const SeedGroup& group, const Rows& rows) {
  return rows.at(group.first().folder);
}

/// The runs that are DONE, and every other with what is known of it.
run::LoadedRuns load_done(const Sweep& sweep, std::span<const RunStatus> statuses) {
  std::vector<fs::path> done;
  run::LoadedRuns loaded;
  for (std::size_t i = 0; i < sweep.runs.size(); ++i) {
    const PlannedRun& run = sweep.runs[i];
    const RunStatus& status = statuses[i];
    if (status.state == State::done) {
      done.push_back(status.folder);
      continue;
    }
    loaded.left_out.push_back(
        {run.id, fmt::format("{}, seed {}: {}, epoch {} of {}{}{}", run.row, run.config.run.seed, name(status.state),
                             status.epoch, status.epochs, status.detail.empty() ? "" : "; ", status.detail)});
  }
  run::LoadedRuns found = run::load_runs(done);
  loaded.runs = std::move(found.runs);
  loaded.left_out.insert(loaded.left_out.end(), found.left_out.begin(), found.left_out.end());
  return loaded;
}

report::Cell p_cell(const SeedGroup& group, const SeedGroup& baseline, const std::string& metric) {
  const report::SeedPairs pairs = report::paired_values(group, baseline, metric);
  const auto test = report::paired_t_test(pairs.a, pairs.b);
  report::Cell cell;
  if (test) {
    cell.value = test->p;
    cell.text = report::p_text(test->p);
  }
  return cell;
}

/// Number of seeds compared, and a p for each metric.
std::vector<report::ExtraColumn> test_columns(const SeedGroup& baseline, const std::vector<TestedMetric>& tested) {
  std::vector<report::ExtraColumn> columns;
  columns.push_back({{.key = "pairs", .header = "Pairs"},
                     [&baseline, first = tested.front().key](const SeedGroup& group, report::Sheet&) {
                       const report::SeedPairs pairs = report::paired_values(group, baseline, first);
                       return &group == &baseline ? report::Cell{}
                                                  : report::number_cell(static_cast<double>(pairs.seeds.size()), 0);
                     }});
  for (const TestedMetric& metric : tested) {
    columns.push_back({{.key = fmt::format("p_{}", metric.key), .header = fmt::format("p {}", metric.header)},
                       [&baseline, metric](const SeedGroup& group, report::Sheet&) {
                         return &group == &baseline ? report::Cell{} : p_cell(group, baseline, metric.key);
                       }});
  }
  return columns;
}

std::string test_remark(const Sweep& sweep, const SeedGroup* baseline, const std::vector<SeedGroup>& groups,
                        const TestedMetric& first) {
  if (sweep.baseline.empty()) {
    return "No t-test: the sweep file names no `baseline`";
  }
  if (baseline == nullptr) {
    return fmt::format("No t-test: no run of the baseline row \"{}\" is done, or only half of a pair", sweep.baseline);
  }
  const bool has_pairs = std::ranges::any_of(groups, [&](const SeedGroup& group) {
    return &group != baseline && report::paired_values(group, *baseline, first.key).seeds.size() >= 2;
  });
  return fmt::format(
      "p: two-sided paired t-test against \"{}\" over the seeds that both rows have (Pairs); not corrected for several "
      "comparisons{}",
      sweep.baseline, has_pairs ? "" : ". Fewer than two such seeds: nothing can be said");
}

/// " 6 of 12 rows are not in it: halted by delta_m, after epoch 20 or 60."; empty where none is.
std::string halted_text(const Sweep& sweep, std::span<const RunStatus> statuses) {
  std::set<std::string> rows, halted, shown, with_fewer_seeds;
  for (std::size_t i = 0; i < sweep.runs.size(); ++i) {
    rows.insert(sweep.runs[i].row);
    if (statuses[i].state == State::halted) {
      halted.insert(sweep.runs[i].row);
    } else if (statuses[i].state == State::done) {
      shown.insert(sweep.runs[i].row);
    }
  }
  std::ranges::set_intersection(halted, shown, std::inserter(with_fewer_seeds, with_fewer_seeds.end()));
  if (halted.empty()) {
    return "";
  }
  const std::string cause =
      fmt::format("halted by {}, after epoch {}", sweep.stop->by, fmt::join(sweep.stop->after_epochs, " or "));
  const std::size_t num_gone = halted.size() - with_fewer_seeds.size();
  std::string text;
  if (num_gone > 0) {
    text += fmt::format(" {} of {} rows {} not in it: {}.", num_gone, rows.size(), num_gone == 1 ? "is" : "are", cause);
  }
  if (!with_fewer_seeds.empty()) {
    text += fmt::format(" Of {} other seeds are {}, so that the mean is over seeds that were chosen.",
                        fmt::join(with_fewer_seeds, ", "), cause);
  }
  return text;
}

report::Sheet sheet_of(const Sweep& sweep, const report::Table& table, const Rows& rows) {
  std::vector<SeedGroup> groups = report::aggregate(table);
  std::ranges::stable_sort(
      groups, {}, [&rows](const SeedGroup& group) { return std::pair(row_of(group, rows).first, group.is_lone_part); });
  const auto baseline = std::ranges::find_if(groups, [&](const SeedGroup& group) {
    return !group.is_lone_part && row_of(group, rows).second == sweep.baseline;
  });
  const SeedGroup* baseline_group = baseline == groups.end() ? nullptr : &*baseline;
  const report::LabelColumn label = {
      .key = "row", .header = "Row", .text = [&rows](const SeedGroup& group) { return row_of(group, rows).second; }};
  const std::vector<TestedMetric> tested = tested_metrics(report::tasks_of(groups));
  report::Sheet sheet = report::axes_sheet(
      groups, {label}, table.protocol, table.checkpoint,
      baseline_group == nullptr ? std::vector<report::ExtraColumn>{} : test_columns(*baseline_group, tested));
  sheet.label = sweep.name;
  sheet.remarks.push_back(test_remark(sweep, baseline_group, groups, tested.front()));
  return sheet;
}

}  // namespace

Collected collect(const Sweep& sweep, std::span<const RunStatus> statuses, std::span<const report::Protocol> protocols,
                  report::Checkpoint checkpoint, const report::DeltaForm& delta_form) {
  run::LoadedRuns loaded = load_done(sweep, statuses);
  const std::size_t num_loaded = loaded.runs.size();
  report::leave_out_runs_without(checkpoint, loaded);
  const Rows rows = rows_of(sweep, statuses);
  const auto num_not_done =
      std::ranges::count_if(statuses, [](const RunStatus& status) { return status.state != State::done; });
  Collected collected{
      .sheets = {},
      .left_out = loaded.left_out,
      .warnings = run::pack_warnings(loaded.runs),
      .num_done = loaded.runs.size(),
      .num_not_done = static_cast<std::size_t>(num_not_done),
      .num_halted = static_cast<std::size_t>(std::ranges::count(statuses, State::halted, &RunStatus::state)),
      .num_too_short = num_loaded - loaded.runs.size()};
  for (const report::Table& table : report::make_tables(loaded.runs, protocols, checkpoint, delta_form)) {
    collected.sheets.push_back(sheet_of(sweep, table, rows));
    collected.sheets.back().caption += halted_text(sweep, statuses);
  }
  return collected;
}

}  // namespace xtasc::sweep
