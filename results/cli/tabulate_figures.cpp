#include <algorithm>
#include <optional>

#include "core/log.hpp"
#include "report/aggregate.hpp"
#include "report/plot/figures.hpp"
#include "report/publish.hpp"
#include "report/table_markdown.hpp"
#include "results/cli/tabulate.hpp"

namespace xtasc::tabulate {

namespace {

report::Plot plot_over_axis(const Options& options, const std::vector<report::SeedGroup>& groups,
                            const std::vector<report::PublishedTable>& published) {
  const report::Protocol protocol = options.shown_protocols("paper").front();
  const report::Checkpoint checkpoint = options.shown_checkpoint();
  return options.figure == "curves"     ? report::curves_plot(groups, protocol)
         : options.figure == "conflict" ? report::conflict_plot(groups)
         : options.figure == "front"    ? report::front_plot(groups, options.metrics, protocol, checkpoint)
         : options.figure == "lambda"   ? report::lambda_plot(groups, published, protocol, checkpoint)
         : options.figure == "labels"   ? report::labels_plot(groups, protocol, checkpoint)
                                        : report::encoders_plot(groups, published, protocol, checkpoint);
}

const std::string& shown_title(const Options& options, const std::string& usual) {
  return options.title == Options{}.title ? usual : options.title;
}

}  // namespace

ExitCode draw_figure(const Options& options) {
  if (options.output.empty()) {
    fail_usage("--figure {}: --output PREFIX is needed, for PREFIX.png and, of plots, PREFIX.svg", options.figure);
  }
  const auto protocols = options.shown_protocols("paper");
  if (protocols.size() != 1) {
    fail_usage("--figure {}: one protocol a figure; give --protocol paper or dataset", options.figure);
  }
  if (!options.metrics.empty() && options.figure != "front") {
    fail_usage("--metrics is of --figure front, whose axes it chooses; --figure {} has all metrics", options.figure);
  }
  if (options.figure == "predictions") {
    return draw_predictions(options);
  }
  const auto published = report::published_tables(
      options.published.empty() ? std::nullopt : std::optional<std::filesystem::path>(options.published));
  const run::LoadedRuns loaded = load_finished_runs(options);
  for (const run::LeftOutRun& run : loaded.left_out) {
    log_warning("left out: {}: {}", run.folder.string(), run.reason);
  }
  const auto tables = report::make_tables(loaded.runs, protocols, options.shown_checkpoint(), options.delta_form());
  if (tables.size() != 1) {
    std::vector<std::string> packs;
    for (const report::Table& table : tables) {
      const run::RunSummary& run = *table.rows.front().runs.front();
      packs.push_back(fmt::format("{}, pack {}: {} and more", report::data_text(run.provenance),
                                  run.provenance.pack_digest.substr(0, 12), run.folder.string()));
    }
    throw Error(fmt::format("runs on {} packs, and a figure is of one: give the folders of one", tables.size()),
                ExitCode::usage, packs);
  }
  if (options.figure == "pairs") {
    report::Matrix matrix = report::pairs_matrix(tables.front());
    matrix.title = shown_title(options, matrix.title);
    report::make_folder_of(options.output);
    options.watch->beat("drawing " + options.output + ".*");
    report::draw(matrix, options.output);
  } else {
    report::Plot plot = plot_over_axis(options, report::aggregate(tables.front()), published);
    plot.title = shown_title(options, plot.title);
    report::make_folder_of(options.output);
    options.watch->beat("drawing " + options.output + ".*");
    report::draw(plot, options.output);
  }
  log_info("drew {}.svg and {}.png with {}.gp", options.output, options.output, options.output);
  return ExitCode::success;
}

}  // namespace xtasc::tabulate
