// xtasc-sweep retry: failed runs may start again, halted ones go on.
#include <CLI/CLI.hpp>
#include <memory>

#include "core/log.hpp"
#include "sweep/halving/rungs.hpp"
#include "sweep/local/local.hpp"
#include "sweep/select.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

namespace {

struct RetryOptions {
  sweep::LocalOptions local;
  SubmitOptions slurm;
  bool failed = false, halted = false;
  bool runs_now = false;
  bool submits_now = false;
};

ExitCode retry(const SweepChoice& choice, RetryOptions& options) {
  if (!options.failed && !options.halted) {
    fail_usage("retry needs --failed, --halted, or both: which runs are to go on");
  }
  const sweep::Sweep sweep = choice.read();
  options.local.queue = queue_of(sweep);
  const auto tell = [&](std::int64_t count, const char* what) {
    const bool is_later = count > 0 && !options.runs_now && !options.submits_now;
    log_info("{} run{} of {} may {}{}", count, count == 1 ? "" : "s", sweep.name, what,
             is_later ? ": `xtasc-sweep run` or `submit` takes them up" : "");
  };
  if (options.failed) {
    tell(sweep::clear_failures(sweep, options.local.only, options.local.queue), "start again");
  }
  if (options.halted) {
    tell(sweep::release_halted(sweep, options.local.only, options.local.queue), "go on to their end");
  }
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
  CLI::App* app = program.add_subcommand("retry",
                                         "Let failed runs start again from their last checkpoint, wherever they "
                                         "failed, and halted ones go on: by the next "
                                         "run or submit, or at once (--run, --submit)");
  const auto choice = std::make_shared<SweepChoice>();
  const auto options = std::make_shared<RetryOptions>();
  add_sweep_choice(*app, *choice);
  app->add_flag("--failed", options->failed, "Every failed run, and those that ended without a result");
  app->add_flag("--halted", options->halted, "Every run that [stop] has halted; it takes no part in later rungs");
  CLI::Option* here = app->add_flag("--run", options->runs_now, "Then run them on this machine, as the subcommand run");
  app->add_flag("--submit", options->submits_now, "Then hand them to Slurm, as the subcommand submit")->excludes(here);
  add_local_options(*app, options->local);
  add_site_options(*app, options->slurm);
  return {app, [=] { return retry(*choice, *options); },
          [=] { return options->runs_now ? std::nullopt : std::optional(std::chrono::seconds(0)); }};
}

}  // namespace xtasc::sweeps
