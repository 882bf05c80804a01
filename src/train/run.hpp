#pragma once

#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "core/error.hpp"
#include "dist/mpi_session.hpp"

namespace xtasc::train {

struct RunOptions {
  bool restart = false;                   ///< throw away what an earlier run of this config left
  bool take_over = false;                 ///< go on although another process seems to train this run
  std::vector<std::string> command_line;  ///< for provenance.json
};

/// One run from start, or from where it stopped, to its end: train, evaluate and checkpoint each epoch, mark it DONE.
/// Collective: every rank of the session calls it with the same config.
///
/// \returns success; or interrupted after SIGTERM, SIGUSR2, SIGINT or a file STOP in the run
/// folder, with a checkpoint from which the same call
/// resumes. \throws Error for anything wrong with config, pack, run folder, or a loss that is no longer finite.
[[nodiscard]] ExitCode run(const dist::MpiSession& session, const config::RunConfig& config, const RunOptions& options);

}  // namespace xtasc::train
