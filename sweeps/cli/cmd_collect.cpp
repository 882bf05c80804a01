// xtasc-sweep collect: the runs that are DONE as a table, with a test against the baseline.
#include <CLI/CLI.hpp>
#include <memory>

#include "core/log.hpp"
#include "report/publish.hpp"
#include "sweep/collect.hpp"
#include "sweep/inputs.hpp"
#include "sweep/other_runs.hpp"
#include "sweep/select.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

namespace {

struct CollectOptions {
  SweepChoice choice;
  std::string protocol = "paper";
  std::string checkpoint = "best";
  std::string delta_sign = "paper";
  std::string delta_mean = "metrics";
  std::string format = "markdown";
  std::string output;
};

ExitCode collect_runs(const CollectOptions& options) {
  using report::Protocol;
  const sweep::Sweep sweep = options.choice.read();
  const auto statuses = sweep::statuses(sweep, queue_if_it_answers(sweep));
  const std::vector<Protocol> protocols =
      options.protocol == "both" ? std::vector{Protocol::paper, Protocol::dataset}
                                 : std::vector{options.protocol == "paper" ? Protocol::paper : Protocol::dataset};
  const sweep::Collected collected =
      sweep::collect(sweep, statuses, protocols, report::checkpoint_of(options.checkpoint),
                     report::delta_form_of(options.delta_sign, options.delta_mean));
  const std::vector<const sweep::PlannedRun*> all = sweep::select(sweep, {});
  for (const std::string& reason : sweep::reasons_without_id(all)) {
    log_warning("{}", reason);
  }
  if (const std::string text = sweep::other_packs_text(sweep); !text.empty()) {
    log_warning("{}", text);
  }
  if (collected.num_done == 0) {
    std::vector<std::string> details;
    for (const run::LeftOutRun& run : collected.left_out) {
      details.push_back(run.folder.string() + ": " + run.reason);
    }
    throw Error(
        collected.num_too_short > 0
            ? fmt::format("no run of {} that is done has the ten epochs that --checkpoint mean10 is of", sweep.name)
            : fmt::format("no run of {} is done: `xtasc-sweep run {}` or `submit` makes them", sweep.name,
                          options.choice.file),
        ExitCode::failure, details);
  }
  report::publish(report::rendered(sweep.title, collected.sheets, collected.left_out), options.format, options.output,
                  collected.left_out);
  for (const std::string& warning : collected.warnings) {
    log_warning("{}", warning);
  }
  if (const std::size_t left = collected.num_not_done - collected.num_halted; left > 0) {
    log_warning("{} of {} runs are not in the table: they are not done", left, sweep.runs.size());
  }
  if (const std::size_t damaged = collected.left_out.size() - collected.num_not_done - collected.num_too_short;
      damaged > 0) {
    log_warning(
        "{} of {} runs are DONE and not in the table, since their files cannot be used (see there why); to train such "
        "a "
        "run again: `xtasc-train --restart --config {}/.sweep/configs/RUN.toml`",
        damaged, sweep.runs.size(), sweep.folder.string());
  }
  return ExitCode::success;
}

}  // namespace

Command add_collect(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "collect", "The runs that are DONE as a table: mean and deviation over seeds, t-test against the baseline");
  const auto options = std::make_shared<CollectOptions>();
  add_sweep_choice(*app, options->choice);
  app->add_option("--protocol", options->protocol,
                  "paper: metrics by image, averaged; dataset: over all pixels of the set; both: two tables")
      ->check(CLI::IsMember({"paper", "dataset", "both"}))
      ->capture_default_str();
  app->add_option("--checkpoint", options->checkpoint, std::string(report::kCheckpointHelp))
      ->check(CLI::IsMember(report::checkpoint_names()))
      ->capture_default_str();
  app->add_option("--delta-sign", options->delta_sign, report::kDeltaSignHelp)
      ->check(CLI::IsMember({"paper", "field"}))
      ->capture_default_str();
  app->add_option("--delta-mean", options->delta_mean, report::kDeltaMeanHelp)
      ->check(CLI::IsMember({"metrics", "tasks"}))
      ->capture_default_str();
  app->add_option("--format", options->format, "What is printed; latex: tables of the package booktabs")
      ->check(CLI::IsMember({"markdown", "csv", "latex"}))
      ->capture_default_str();
  app->add_option("--output", options->output, "Write PREFIX.md, PREFIX.csv and PREFIX.tex as well")
      ->type_name("PREFIX");
  return {app, [=] { return collect_runs(*options); }};
}

}  // namespace xtasc::sweeps
