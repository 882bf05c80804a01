// xtasc-sweep retry: failed runs may start again.
#include <CLI/CLI.hpp>
#include <memory>

#include "core/log.hpp"
#include "sweep/local.hpp"
#include "sweep/select.hpp"
#include "sweeps/commands.hpp"

namespace xtasc::sweeps {

Command add_retry(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "retry", "Let failed runs start again from their last checkpoint: by the next run or submit, or at once (--run)");
  const auto choice = std::make_shared<SweepChoice>();
  const auto options = std::make_shared<sweep::LocalOptions>();
  const auto runs_now = std::make_shared<bool>(false);
  add_sweep_choice(*app, *choice);
  app->add_flag(
         "--failed", [](std::int64_t) {}, "Every failed run, and those that ended without a result")
      ->required();
  app->add_flag("--run", *runs_now, "Then run them on this machine, as the subcommand run does");
  add_local_options(*app, *options);
  return {app, [=] {
            const sweep::Sweep sweep = choice->read();
            options->queue = queue_of(sweep);
            const std::int64_t count = sweep::clear_failures(sweep, options->only, options->queue);
            log_info("{} run{} of {} may start again{}", count, count == 1 ? "" : "s", sweep.name,
                     count > 0 && !*runs_now ? ": `xtasc-sweep run` or `submit` takes them up" : "");
            if (!*runs_now) {
              return ExitCode::success;
            }
            return sweep::run_here(sweep, *options);
          }};
}

}  // namespace xtasc::sweeps
