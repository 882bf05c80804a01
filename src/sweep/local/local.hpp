#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "sweep/state.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

struct LocalOptions {
  std::int64_t jobs = 1;              ///< runs at a time; cores and GPUs are divided among them
  std::optional<std::int64_t> ranks;  ///< ranks a run, or kAutoRanks; absent: as the sweep file says
  std::vector<std::string> only;      ///< patterns (sweep/select.hpp); empty: all runs
  std::int64_t max_failures = 0;      ///< after so many failures no further run is started; 0: no limit
  std::string trainer;                ///< xtasc-train; empty: the one beside this program
  Queue queue;                        ///< runs that a cluster has are left alone
};

/// Runs what is neither done nor failed on this machine, from the frozen program and configs, and waits for all.
///
/// Several drivers may work on one sweep: a run is claimed by one at a time, by a lock that lives as long as the run.
/// A signal to stop (stop_signal(), which a ProgramWatch must leave to the program) stops all runs after a checkpoint.
/// A driver that dies takes its runs with it in the same way. What failed is told with its last error line, and is left
/// alone until clear_failures() (sweep/select.hpp). A run that needs others starts when they are done; where nobody is
/// going to do them it is told at the end what it waits for. At a rung of [stop] runs pause and make room for others;
/// who comes there last decides for all.
/// \returns success only when all selected runs are done or halted; interrupted when a signal stopped it
[[nodiscard]] ExitCode run_here(const Sweep& sweep, const LocalOptions& options);

}  // namespace xtasc::sweep
