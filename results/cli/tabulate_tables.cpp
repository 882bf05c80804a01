#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>

#include "cite/citation.hpp"
#include "core/log.hpp"
#include "core/text_table.hpp"
#include "report/aggregate.hpp"
#include "report/axes_sheet.hpp"
#include "report/field/field_sheet.hpp"
#include "report/paper/paper_sheet.hpp"
#include "report/publish.hpp"
#include "report/table_csv.hpp"
#include "report/table_markdown.hpp"
#include "results/cli/tabulate.hpp"
#include "run/config_values.hpp"
#include "run/pack_now.hpp"

namespace fs = std::filesystem;

namespace xtasc::tabulate {

namespace {

/// A sheet of each pack and protocol, its rows labelled by `labels`.
report::RenderedTables axes_tables(const Options& options, const run::LoadedRuns& loaded,
                                   const std::vector<report::LabelColumn>& labels) {
  std::vector<report::Sheet> sheets;
  const auto protocols = options.shown_protocols("both");
  for (const report::Table& table :
       report::make_tables(loaded.runs, protocols, options.shown_checkpoint(), options.delta_form())) {
    sheets.push_back(report::axes_sheet(report::aggregate(table), labels, table.protocol, options.shown_checkpoint()));
  }
  return report::rendered(options.title, sheets, loaded.left_out);
}

/// What lies below RUNS_DIR, watched: what comes after is as long as it is.
run::LoadedRuns read_runs(const Options& options) {
  const std::vector<fs::path> roots(options.roots.begin(), options.roots.end());
  options.watch->beat("its look for runs");
  run::LoadedRuns loaded = run::load_runs(
      roots, [&](const fs::path& run) { options.watch->beat(fmt::format("reading the run {}", run.string())); });
  options.watch->rest();
  return loaded;
}

/// Watched.
void publish(const Options& options, const report::RenderedTables& tables, const run::LoadedRuns& loaded) {
  options.watch->beat(options.output.empty() ? "printing" : "writing " + options.output + ".*");
  report::publish(tables, options.format, options.output, loaded.left_out);
}

void warn_of_packs(const Options& options, const run::LoadedRuns& loaded) {
  for (const std::string& warning : pack_warnings(options, loaded)) {
    log_warning("{}", warning);
  }
}

}  // namespace

std::vector<report::Protocol> Options::shown_protocols(const std::string& usual) const {
  using report::Protocol;
  const std::map<std::string, std::vector<Protocol>> protocols = {
      {"paper", {Protocol::paper}}, {"dataset", {Protocol::dataset}}, {"both", {Protocol::paper, Protocol::dataset}}};
  return protocols.at(protocol.empty() ? usual : protocol);
}

run::LoadedRuns load_finished_runs(const Options& options) {
  run::LoadedRuns loaded = read_runs(options);
  report::leave_out_runs_without(options.shown_checkpoint(), loaded);
  if (loaded.runs.empty()) {
    std::vector<std::string> details;
    for (const run::LeftOutRun& run : loaded.left_out) {
      details.push_back(run.folder.string() + ": " + run.reason);
    }
    throw Error(
        fmt::format("no finished run in {}: found {}; train with xtasc-train first", fmt::join(options.roots, ", "),
                    details.empty() ? "no run folder" : fmt::format("{} that cannot be shown", details.size())),
        ExitCode::failure, details);
  }
  warn_of_packs(options, loaded);
  return loaded;
}

run::LoadedRuns load_runs_if_any(const Options& options, report::Checkpoint checkpoint) {
  // Without any run there still is what is published, and what to run.
  const bool has_runs = options.roots != Options{}.roots || fs::exists(options.roots.front());
  run::LoadedRuns loaded = has_runs ? read_runs(options) : run::LoadedRuns{};
  report::leave_out_runs_without(checkpoint, loaded);
  warn_of_packs(options, loaded);
  return loaded;
}

std::vector<std::string> pack_warnings(const Options& options, const run::LoadedRuns& loaded) {
  std::vector<std::string> warnings = run::pack_warnings(loaded.runs, [&options](const fs::path& pack) {
    options.watch->beat(fmt::format("reading the pack {}", pack.string()));
  });
  options.watch->rest();
  return warnings;
}

ExitCode print_tables(const Options& options) {
  std::vector<report::LabelColumn> labels;
  for (const std::string& key : options.by) {
    labels.push_back(report::axis_column(run::full_key(key)));
  }
  const run::LoadedRuns loaded = load_finished_runs(options);
  if (!labels.empty() || options.seeds == "mean") {
    const report::RenderedTables tables =
        axes_tables(options, loaded, labels.empty() ? report::model_columns() : labels);
    publish(options, tables, loaded);
    return ExitCode::success;
  }
  const auto tables = report::make_tables(loaded.runs, options.shown_protocols("both"), options.shown_checkpoint(),
                                          options.delta_form());
  std::vector<report::Sheet> sheets;
  std::ranges::transform(tables, std::back_inserter(sheets), report::to_sheet);
  report::RenderedTables all = report::rendered(options.title, sheets, loaded.left_out);
  all.csv = report::to_csv(tables);  // every choice and every metric, more than the printed table has
  publish(options, all, loaded);
  return ExitCode::success;
}

std::vector<report::Sheet> paper_sheets(const Options& options, const run::LoadedRuns& loaded) {
  const auto published =
      report::published_tables(options.published.empty() ? std::nullopt : std::optional<fs::path>(options.published));
  std::vector<report::Sheet> sheets;
  for (const report::Protocol protocol : options.shown_protocols("paper")) {
    std::vector<report::SeedGroup> groups;
    const std::vector<report::Protocol> one = {protocol};
    for (const report::Table& table : report::make_tables(loaded.runs, one, options.shown_checkpoint())) {
      std::ranges::move(report::aggregate(table), std::back_inserter(groups));
    }
    for (const report::PublishedTable& table : published) {
      if (options.only.empty() || std::ranges::find(options.only, table.number) != options.only.end()) {
        const auto settings = options.reduced ? report::PaperSettings::reduced : report::PaperSettings::as_printed;
        const report::PaperMatch match = report::match_paper(table, groups, settings);
        sheets.push_back(report::paper_sheet(table, published, match, protocol, options.shown_checkpoint()));
        if (options.title != Options{}.title) {  // LaTeX prints no other
          sheets.back().caption += fmt::format(" {}.", options.title);
        }
      }
    }
  }
  return sheets;
}

ExitCode print_paper_tables(const Options& options) {
  const run::LoadedRuns loaded = load_runs_if_any(options, options.shown_checkpoint());
  const std::vector<report::Sheet> sheets = paper_sheets(options, loaded);
  const std::string title = options.title == Options{}.title ? "The paper's tables" : options.title;
  publish(options, report::rendered(title, sheets, loaded.left_out), loaded);
  return ExitCode::success;
}

FieldView field_view(const Options& options) {
  const auto tables =
      report::field_tables(options.published.empty() ? std::nullopt : std::optional<fs::path>(options.published));
  const report::FieldTable& table = report::field_table(tables, options.field);
  if (options.protocol == "both") {
    fail_usage(
        "--field {}: one protocol a table: paper or dataset; without --protocol each metric is pooled as the published "
        "ones",
        options.field);
  }
  return {table, options.shown_checkpoint(table.checkpoint.empty() ? report::Checkpoint::best
                                                                   : report::checkpoint_of(table.checkpoint))};
}

report::Sheet field_sheet(const Options& options, const FieldView& view, const run::LoadedRuns& loaded) {
  const auto nets = [&](report::Protocol protocol) {
    std::vector<report::SeedGroup> groups;
    const std::vector<report::Protocol> one = {protocol};
    for (const report::Table& of_pack : report::make_tables(loaded.runs, one, view.checkpoint)) {
      std::ranges::move(report::aggregate(of_pack), std::back_inserter(groups));
    }
    return groups;
  };
  const auto forced =
      options.protocol.empty() ? std::nullopt : std::optional<report::Protocol>(options.shown_protocols("").front());
  return report::field_sheet(view.table,
                             {.paper = nets(report::Protocol::paper), .dataset = nets(report::Protocol::dataset)},
                             view.checkpoint, forced);
}

ExitCode print_field_ids(const Options& options) {
  std::vector<std::vector<std::string>> lines;
  for (const report::FieldTable& table :
       report::field_tables(options.published.empty() ? std::nullopt : std::optional<fs::path>(options.published))) {
    lines.push_back({table.id, table.title});
  }
  report::print(text_table(lines));
  return ExitCode::success;
}

ExitCode print_field_table(const Options& options) {
  const FieldView view = field_view(options);
  const run::LoadedRuns loaded = load_runs_if_any(options, view.checkpoint);
  const std::vector<report::Sheet> sheets = {field_sheet(options, view, loaded)};
  const std::string title = options.title == Options{}.title ? "Published results and ours" : options.title;
  publish(options, report::rendered(title, sheets, loaded.left_out), loaded);
  return ExitCode::success;
}

ExitCode print_bibtex(const Options& options) {
  const run::LoadedRuns loaded = load_finished_runs(options);
  std::vector<cite::CitedRun> runs;
  for (const run::RunSummary& run : loaded.runs) {
    runs.push_back({run.folder.filename().string(), &run.config, &run.provenance});
  }
  for (const run::LeftOutRun& run : loaded.left_out) {
    log_warning("left out: {}: {}", run.folder.string(), run.reason);
  }
  report::print(cite::bibtex(runs));
  return ExitCode::success;
}

}  // namespace xtasc::tabulate
