// xtasc-train: one run, on as many ranks as mpirun or srun start.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/run_config.hpp"
#include "core/cli.hpp"
#include "core/signals.hpp"
#include "launch/common/ranks.hpp"
#include "train/out_of_memory.hpp"
#include "train/run.hpp"

namespace {

using namespace xtasc;

/// The config, read before MPI starts so that its limit holds for that start too. What is wrong with it is thrown by
/// the function that is returned, when MPI has started: then one rank speaks for all.
std::function<const config::RunConfig&()> read_early(const std::string& file,
                                                     const std::vector<std::string>& assignments, ProgramWatch& watch) {
  launch::take_limit_of(assignments, watch);
  watch.beat("reading the config");
  try {
    const auto config = std::make_shared<config::RunConfig>(config::read_run_config(file, assignments));
    watch.set_limit(std::chrono::seconds(config->run.stall_seconds), "run.stall_seconds");
    return [config]() -> const config::RunConfig& { return *config; };
  } catch (const Error&) {
    return [error = std::current_exception()]() -> const config::RunConfig& { std::rethrow_exception(error); };
  }
}

}  // namespace

int main(int argc, char** argv) {
  launch::Ranks ranks({.program = "xtasc-train",
                       .when_it_hangs = ExitCode::interrupted,
                       .when_stopped = ExitCode::interrupted,
                       .advice = "the same command goes on"});
  CLI::App app(
      "Trains one run: mpirun -np N xtasc-train --config FILE [--set key=value ...]\n"
      "The same command again resumes a run that stopped.",
      "xtasc-train");
  std::string config_file;
  std::vector<std::string> assignments;
  bool print_config = false;
  train::RunOptions options{.command_line = {argv, argv + argc}};
  app.add_option("--config", config_file, "The run's config (TOML)")->required();
  app.add_option("--set", assignments, "Override one key: section.key=value; may be repeated")->allow_extra_args(false);
  app.add_flag("--restart", options.restart, "Throw away what an earlier run of this config left, and start anew");
  app.add_option("--until-epoch", options.until_epoch,
                 "End after epoch N with a checkpoint; without it, go on from there")
      ->check(CLI::Range(1, 1000000000))
      ->type_name("N");
  app.add_flag("--print-config", print_config, "Print every key, resolved, with its documentation, and exit");

  return run_program(
      app, argc, argv,
      [&] {
        if (print_config) {
          std::fputs(config::to_toml(config::read_run_config(config_file, assignments), /*documented=*/true).c_str(),
                     stdout);
          return ExitCode::success;
        }
        ignore_broken_pipes();  // a run outlives the reader of its log
        const auto config = read_early(config_file, assignments, ranks.watch());
        const dist::MpiSession& session = ranks.start(&argc, &argv);
        const char* take_over = std::getenv("XTASC_TAKE_OVER");  // the batch script sets it after a requeue
        options.take_over = take_over != nullptr && std::string_view(take_over) == "1";
        const ExitCode outcome = train::run(session, config(), options, ranks.watch());
        ranks.watch().beat("the end of MPI");
        return outcome;
      },
      ranks.error_hooks(train::out_of_memory_error));
}
