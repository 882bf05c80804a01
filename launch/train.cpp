// xtasc-train: one run, on as many ranks as mpirun or srun start.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "config/run_config.hpp"
#include "core/cli.hpp"
#include "core/log.hpp"
#include "core/signals.hpp"
#include "dist/mpi_session.hpp"
#include "launch/common/ranks.hpp"
#include "train/out_of_memory.hpp"
#include "train/run.hpp"

int main(int argc, char** argv) {
  using namespace xtasc;
  install_stop_handlers();  // before MPI starts: a signal during start-up is not lost either
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

  std::optional<dist::MpiSession> session;
  return run_program(
      app, argc, argv,
      [&] {
        if (print_config) {
          std::fputs(config::to_toml(config::read_run_config(config_file, assignments), /*documented=*/true).c_str(),
                     stdout);
          return ExitCode::success;
        }
        session.emplace(&argc, &argv);
        set_quiet(session->rank() != 0);
        const char* take_over = std::getenv("XTASC_TAKE_OVER");  // the batch script sets it after a requeue
        options.take_over = take_over != nullptr && std::string_view(take_over) == "1";
        return train::run(*session, config::read_run_config(config_file, assignments), options);
      },
      launch::rank_error_hooks(session, train::out_of_memory_error));
}
