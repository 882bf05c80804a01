#include "sweep/local/attempt.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "core/error.hpp"
#include "core/host.hpp"
#include "core/utc_time.hpp"
#include "io/file.hpp"
#include "sweep/state.hpp"

namespace xtasc::sweep {

Process start_attempt(const SweepFolder& folder, const PlannedRun& run, const FileLock& claim,
                      const AttemptOptions& options) {
  const Slot slot = slot_for(run.config, options.slot);
  const std::int64_t ranks = ranks_in(slot, options.ranks, run.config);
  std::vector<std::string> command = launcher(slot, ranks, options.is_alone);
  const bool is_bound_by_launcher = std::ranges::find(command, "core") != command.end();
  command.insert(command.end(), {options.trainer.string(), "--config", folder.config(run.id).string()});
  if (options.until_epoch > 0) {
    command.insert(command.end(), {"--until-epoch", fmt::format("{}", options.until_epoch)});
  }
  std::error_code error;
  std::filesystem::create_directories(folder.run(run.id).root, error);
  check(!error, "cannot make the folder {}: {}", folder.run(run.id).root.string(), error.message());
  static_cast<void>(io::end_of_links(folder.log(run.id)));  // a named pipe would block who opens it
  std::ofstream log(folder.log(run.id), std::ios::app);
  log << fmt::format("{}{} on {}: {}\n", kAttemptMark, utc_now(), this_host(), fmt::join(command, " "));
  check(static_cast<bool>(log.flush()), "cannot write to {}", folder.log(run.id).string());
  log.close();
  write_end(folder, run.id, {.code = static_cast<int>(ExitCode::interrupted), .by = this_process()});
  return Process({.command = command,
                  .environment = environment(slot, ranks),
                  // In a shell of a Slurm job mpirun would take the job's nodes and tasks for those of this run.
                  .without = {"SLURM_", "PMI_", "PMIX_"},
                  .log = folder.log(run.id),
                  .cores = is_bound_by_launcher ? std::vector<int>{} : slot.cores,
                  .inherited = claim.descriptor(),
                  .signal_when_orphaned = SIGUSR2,
                  .if_missing = fmt::format("there is no {} in PATH: Open MPI starts the runs", command.front())});
}

}  // namespace xtasc::sweep
