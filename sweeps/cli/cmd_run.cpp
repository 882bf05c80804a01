// xtasc-sweep run: all runs of a sweep on this machine.
#include <CLI/CLI.hpp>
#include <memory>

#include "sweep/local/local.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

void add_local_options(CLI::App& app, sweep::LocalOptions& options) {
  app.add_option("--jobs", options.jobs, "Runs at a time; the cores and GPUs are divided among them")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--ranks",
         [&options](const std::string& text) { options.ranks = text == "auto" ? sweep::kAutoRanks : std::stoll(text); },
         "Ranks a run, or auto; default: as the sweep file says")
      ->check(CLI::Range(1, 1024) | CLI::IsMember({"auto"}))
      ->type_name("N|auto");
  add_only(app, options.only);
  app.add_option("--max-failures", options.max_failures, "Start no further run after N have failed")
      ->check(CLI::Range(1, 1000000))
      ->type_name("N");
  app.add_option("--trainer", options.trainer, "xtasc-train; default: the one beside this program")->type_name("FILE");
}

Command add_run(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "run",
      "Run what is not done yet on this machine, with progress for all; Ctrl-C stops cleanly and the same command goes "
      "on");
  const auto choice = std::make_shared<SweepChoice>();
  const auto options = std::make_shared<sweep::LocalOptions>();
  add_sweep_choice(*app, *choice);
  add_local_options(*app, *options);
  return {app,
          [=] {
            const sweep::Sweep sweep = choice->read();
            options->queue = queue_of(sweep);
            return sweep::run_here(sweep, *options);
          },
          [] { return std::nullopt; }};
}

}  // namespace xtasc::sweeps
