// xtasc-sweep retry: failed runs may start again.
#include <CLI/CLI.hpp>
#include <memory>

#include "core/log.hpp"
#include "sweep/local/local.hpp"
#include "sweep/select.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

namespace {

struct RetryOptions {
  sweep::LocalOptions local;
  SubmitOptions slurm;
  bool runs_now = false;
  bool submits_now = false;
};

ExitCode retry(const SweepChoice& choice, RetryOptions& options) {
  const sweep::Sweep sweep = choice.read();
  options.local.queue = queue_of(sweep);
  const std::int64_t count = sweep::clear_failures(sweep, options.local.only, options.local.queue);
  const bool is_later = count > 0 && !options.runs_now && !options.submits_now;
  log_info("{} run{} of {} may start again{}", count, count == 1 ? "" : "s", sweep.name,
           is_later ? ": `xtasc-sweep run` or `submit` takes them up" : "");
  if (options.runs_now) {
    return sweep::run_here(sweep, options.local);
  }
  if (options.submits_now) {
    options.slurm.choice = choice;
    options.slurm.only = options.local.only;
    options.slurm.trainer = options.local.trainer;
    return submit_runs(options.slurm);
  }
  return ExitCode::success;
}

}  // namespace

Command add_retry(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "retry",
      "Let failed runs start again from their last checkpoint, wherever they failed: by the next run or submit, or at "
      "once (--run, --submit)");
  const auto choice = std::make_shared<SweepChoice>();
  const auto options = std::make_shared<RetryOptions>();
  add_sweep_choice(*app, *choice);
  app->add_flag(
         "--failed", [](std::int64_t) {}, "Every failed run, and those that ended without a result")
      ->required();
  CLI::Option* here = app->add_flag("--run", options->runs_now, "Then run them on this machine, as the subcommand run");
  app->add_flag("--submit", options->submits_now, "Then hand them to Slurm, as the subcommand submit")->excludes(here);
  add_local_options(*app, options->local);
  add_site_options(*app, options->slurm);
  return {app, [=] { return retry(*choice, *options); }};
}

}  // namespace xtasc::sweeps
