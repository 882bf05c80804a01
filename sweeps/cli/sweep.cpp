// xtasc-sweep: one TOML file -> many runs, here or on Slurm, and what became of them.
#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <filesystem>
#include <vector>

#include "core/cli.hpp"
#include "core/log.hpp"
#include "core/program_watch.hpp"
#include "core/signals.hpp"
#include "sweep/slurm/submission.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

namespace {

constexpr std::chrono::seconds kShortPatience{10};

/// The subcommands, in the order in which --help lists them.
constexpr std::array kCommands = {add_plan,   add_run,    add_status,  add_logs, add_retry,
                                  add_submit, add_cancel, add_collect, add_rung};

}  // namespace

void add_sweep_choice(CLI::App& app, SweepChoice& choice) {
  app.add_option("SWEEP", choice.file, "The sweep file (.toml)")->required();
  app.add_option("--set", choice.assignments, "Override one key for all runs: section.key=value; may be repeated")
      ->allow_extra_args(false);
}

void add_only(CLI::App& app, std::vector<std::string>& only) {
  app.add_option("--only", only, "Only runs whose id or row is like this (* and ? as in a shell); may be repeated")
      ->allow_extra_args(false)
      ->type_name("PATTERN");
}

std::string slurm_file(const char* name) {
  std::error_code error;
  const std::filesystem::path beside =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "../share/xtasc/slurm" / name;
  return (std::filesystem::exists(beside, error) ? beside.lexically_normal()
                                                 : std::filesystem::path(XTASC_SOURCE_DIR) / "slurm" / name)
      .string();
}

sweep::Queue queue_of(const sweep::Sweep& sweep) {
  return sweep::ask_queue({sweep.folder}, kPatience);
}

sweep::Queue queue_if_it_answers(const sweep::Sweep& sweep) {
  try {
    return sweep::ask_queue({sweep.folder}, kShortPatience);
  } catch (const Error& error) {
    log_warning("{}; what follows is what the run folders say", error.what());
    return sweep::queue_without_answer({sweep.folder});
  }
}

}  // namespace xtasc::sweeps

int main(int argc, char** argv) {
  using namespace xtasc;
  CLI::App app("Runs every run of a sweep file, here or on Slurm, and says what became of each.", "xtasc-sweep");
  app.require_subcommand(1);
  std::vector<sweeps::Command> commands;
  commands.reserve(sweeps::kCommands.size());
  for (const auto& add : sweeps::kCommands) {
    commands.push_back(add(app));
  }
  return run_program(app, argc, argv, [&] {
    for (const sweeps::Command& command : commands) {
      if (command.app->parsed()) {
        const auto patience = command.stop_patience();
        ProgramWatch watch({.program = "xtasc-sweep", .stop_patience = patience.value_or(std::chrono::seconds(0))});
        if (!patience) {  // it runs runs
          watch.leave_stops_to_program("");
          ignore_broken_pipes();  // a sweep outlives the reader of its log, as a run does
        }
        return command.run();
      }
    }
    return ExitCode::usage;  // require_subcommand leaves none unparsed
  });
}
