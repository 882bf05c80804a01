// xtasc-sweep plan: what a sweep would run.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "sweeps/commands.hpp"

namespace xtasc::sweeps {

Command add_plan(CLI::App& program) {
  CLI::App* app = program.add_subcommand("plan", "Every run of a sweep");
  const auto choice = std::make_shared<SweepChoice>();
  add_sweep_choice(*app, *choice);
  return {app, [choice] {
            const sweep::Sweep sweep = choice->read();
            for (const sweep::PlannedRun& run : sweep.runs) {
              fmt::print("{}  {}, seed {}\n", run.id, run.row, run.config.run.seed);
            }
            return ExitCode::success;
          }};
}

}  // namespace xtasc::sweeps
