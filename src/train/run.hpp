#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "core/error.hpp"
#include "core/program_watch.hpp"
#include "dist/mpi_session.hpp"

namespace xtasc::train {

struct RunOptions {
  bool restart = false;                   ///< throw away what an earlier run of this config left
  bool take_over = false;                 ///< go on although another process seems to train this run
  std::int64_t until_epoch = 0;           ///< end after this epoch, to go on later; 0: at the end of the run
  std::vector<std::string> command_line;  ///< for provenance.json

  /// The last epoch of this start.
  [[nodiscard]] std::int64_t last_epoch(const config::TrainSection& train) const {
    return until_epoch > 0 ? std::min(until_epoch, train.epochs) : train.epochs;
  }
};

/// One run from start, or from where it stopped, to its end: train, evaluate and checkpoint each epoch, mark it DONE.
/// Collective: every rank of the session calls it with the same config.
///
/// \param watch  ends the program on a signal before the first step; told of all that is done
/// \returns success, after options.until_epoch without DONE; or interrupted after a signal (SIGTERM, SIGUSR2, SIGINT,
/// SIGHUP) or a file STOP in the run folder, with a checkpoint from which the same call resumes. \throws Error for
/// anything wrong with config, pack, run folder, or a loss that is no longer finite.
[[nodiscard]] ExitCode run(const dist::MpiSession& session, const config::RunConfig& config, const RunOptions& options,
                           ProgramWatch& watch);

}  // namespace xtasc::train
