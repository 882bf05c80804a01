#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>

#include "core/log.hpp"
#include "results/aggregate.hpp"
#include "results/axes_sheet.hpp"
#include "results/config_values.hpp"
#include "results/pack_now.hpp"
#include "results/paper_sheet.hpp"
#include "results/publish.hpp"
#include "results/table_csv.hpp"
#include "results/table_markdown.hpp"
#include "results/tabulate.hpp"

namespace fs = std::filesystem;

namespace xtasc::tabulate {

namespace {

/// A sheet of each pack and protocol, its rows labelled by `labels`.
results::RenderedTables axes_tables(const Options& options, const results::LoadedRuns& loaded,
                                    const std::vector<results::LabelColumn>& labels) {
  std::vector<results::Sheet> sheets;
  const auto protocols = options.shown_protocols("both");
  for (const results::Table& table : results::make_tables(loaded.runs, protocols, options.shown_checkpoint())) {
    sheets.push_back(
        results::axes_sheet(results::aggregate(table), labels, table.protocol, options.shown_checkpoint()));
  }
  return results::rendered(options.title, sheets, loaded.left_out);
}

}  // namespace

std::vector<results::Protocol> Options::shown_protocols(const std::string& usual) const {
  using results::Protocol;
  const std::map<std::string, std::vector<Protocol>> protocols = {
      {"paper", {Protocol::paper}}, {"dataset", {Protocol::dataset}}, {"both", {Protocol::paper, Protocol::dataset}}};
  return protocols.at(protocol.empty() ? usual : protocol);
}

results::LoadedRuns load_finished_runs(const Options& options) {
  const std::vector<fs::path> roots(options.roots.begin(), options.roots.end());
  results::LoadedRuns loaded = results::load_runs(roots);
  if (loaded.runs.empty()) {
    std::vector<std::string> details;
    for (const results::LeftOutRun& run : loaded.left_out) {
      details.push_back(run.folder.string() + ": " + run.reason);
    }
    throw Error(
        fmt::format("no finished run in {}: found {}; train with xtasc-train first", fmt::join(options.roots, ", "),
                    details.empty() ? "no run folder" : fmt::format("{} that cannot be shown", details.size())),
        ExitCode::failure, details);
  }
  warn_of_packs(loaded);
  return loaded;
}

void warn_of_packs(const results::LoadedRuns& loaded) {
  for (const std::string& warning : results::pack_warnings(loaded.runs)) {
    log_warning("{}", warning);
  }
}

ExitCode print_tables(const Options& options) {
  std::vector<results::LabelColumn> labels;
  for (const std::string& key : options.by) {
    labels.push_back(results::axis_column(results::full_key(key)));
  }
  const results::LoadedRuns loaded = load_finished_runs(options);
  if (!labels.empty() || options.seeds == "mean") {
    const results::RenderedTables tables =
        axes_tables(options, loaded, labels.empty() ? results::model_columns() : labels);
    results::publish(tables, options.format, options.output, loaded.left_out);
    return ExitCode::success;
  }
  const auto tables = results::make_tables(loaded.runs, options.shown_protocols("both"), options.shown_checkpoint());
  std::vector<results::Sheet> sheets;
  std::ranges::transform(tables, std::back_inserter(sheets), results::to_sheet);
  results::RenderedTables all = results::rendered(options.title, sheets, loaded.left_out);
  all.csv = results::to_csv(tables);  // every choice and every metric, more than the printed table has
  results::publish(all, options.format, options.output, loaded.left_out);
  return ExitCode::success;
}

ExitCode print_paper_tables(const Options& options) {
  const auto published =
      results::published_tables(options.published.empty() ? std::nullopt : std::optional<fs::path>(options.published));
  // Without any run there still is what is published, and what to run.
  const bool has_runs = options.roots != Options{}.roots || fs::exists(options.roots.front());
  const std::vector<fs::path> roots(options.roots.begin(), options.roots.end());
  const results::LoadedRuns loaded = has_runs ? results::load_runs(roots) : results::LoadedRuns{};
  warn_of_packs(loaded);
  std::vector<results::Sheet> sheets;
  for (const results::Protocol protocol : options.shown_protocols("paper")) {
    std::vector<results::SeedGroup> groups;
    const std::vector<results::Protocol> one = {protocol};
    for (const results::Table& table : results::make_tables(loaded.runs, one, options.shown_checkpoint())) {
      std::ranges::move(results::aggregate(table), std::back_inserter(groups));
    }
    for (const results::PublishedTable& table : published) {
      if (options.only.empty() || std::ranges::find(options.only, table.number) != options.only.end()) {
        const auto settings = options.reduced ? results::PaperSettings::reduced : results::PaperSettings::as_printed;
        const results::PaperMatch match = results::match_paper(table, groups, settings);
        sheets.push_back(results::paper_sheet(table, published, match, protocol, options.shown_checkpoint()));
        if (options.title != Options{}.title) {  // LaTeX prints no other
          sheets.back().caption += fmt::format(" {}.", options.title);
        }
      }
    }
  }
  const std::string title = options.title == Options{}.title ? "The paper's tables" : options.title;
  results::publish(results::rendered(title, sheets, loaded.left_out), options.format, options.output, loaded.left_out);
  return ExitCode::success;
}

}  // namespace xtasc::tabulate
