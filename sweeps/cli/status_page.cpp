#include "sweeps/cli/status_page.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <iterator>
#include <utility>

#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "page/page.hpp"
#include "run/run_summary.hpp"
#include "sweep/collect.hpp"

namespace xtasc::sweeps {

namespace {

report::Sheet state_sheet(const sweep::Sweep& sweep, const SweepState& state) {
  report::Sheet sheet{.label = sweep.name,
                      .title = fmt::format("State of {}", sweep.title),
                      .caption = fmt::format("In `{}`.", sweep.folder.string()),
                      .columns = {{.key = "run", .header = "Run", .is_text = true},
                                  {.key = "row", .header = "Row", .is_text = true},
                                  {.key = "seed", .header = "Seed"},
                                  {.key = "state", .header = "State", .is_text = true},
                                  {.key = "epoch", .header = "Epoch"},
                                  {.key = "detail", .header = "What is known", .is_text = true}},
                      .rows = {},
                      .footnotes = {},
                      .remarks = state.remarks};
  for (std::size_t i = 0; i < sweep.runs.size(); ++i) {
    const sweep::PlannedRun& run = sweep.runs[i];
    const sweep::RunStatus& status = state.statuses[i];
    report::Cell epoch = report::text_cell(fmt::format("{}/{}", status.epoch, status.epochs));
    if (status.epochs > 0) {
      epoch.value = static_cast<double>(status.epoch) / static_cast<double>(status.epochs);
    }
    sheet.rows.push_back({.cells = {report::text_cell(run.id), report::text_cell(run.row),
                                    report::number_cell(static_cast<double>(run.config.run.seed), 0),
                                    report::text_cell(std::string(sweep::name(status.state))), std::move(epoch),
                                    report::text_cell(status.detail.empty() ? "-" : status.detail)},
                          .runs = {status.folder}});
  }
  return sheet;
}

/// The runs that have begun, wherever they lie.
run::LoadedRuns load_begun(const SweepState& state) {
  std::vector<std::filesystem::path> begun;
  for (const sweep::RunStatus& status : state.statuses) {
    if (std::filesystem::exists(run::RunFolder{status.folder}.config())) {
      begun.push_back(status.folder);
    }
  }
  return run::load_runs(begun);
}

}  // namespace

void write_status_page(const sweep::Sweep& sweep, const SweepState& state, const std::filesystem::path& path,
                       int reload_seconds) {
  const std::vector<report::Protocol> protocols = {report::Protocol::paper, report::Protocol::dataset};
  const run::LoadedRuns loaded = load_begun(state);
  const auto tables = report::make_tables(loaded.runs, protocols, report::Checkpoint::best);
  const sweep::Collected collected = sweep::collect(sweep, state.statuses, protocols, report::Checkpoint::best);
  page::Page page{.title = sweep.title, .summary = state.summary};
  page.tables.push_back({state_sheet(sweep, state), page::Place::state});
  page::add_seed_tables(page, tables);
  for (std::size_t i = 0; i < collected.sheets.size(); ++i) {  // by pack, then by protocol
    page.tables.push_back({collected.sheets[i], page::Place::mean, protocols[i % protocols.size()]});
  }
  page::add_runs(page, loaded, tables);
  page.warnings = collected.warnings;
  page.reload_seconds = reload_seconds;
  io::write_file_atomically(path, page::to_html(page));
}

}  // namespace xtasc::sweeps
