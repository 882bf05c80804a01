#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

#include "core/file_lock.hpp"
#include "core/process.hpp"
#include "sweep/folder.hpp"
#include "sweep/local/slots.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// A part of this machine, and whether a run has it.
struct Place {
  Slot slot;
  bool is_taken = false;
};

/// A run under way here.
struct Running {
  const PlannedRun* run;
  FileLock claim;
  Process process;
  Place* place;
  std::chrono::steady_clock::time_point start;
  std::int64_t until_epoch;  ///< where it is to pause; 0: it trains to its end
};

/// How a run is started here.
struct AttemptOptions {
  std::filesystem::path trainer;  ///< the frozen one
  Slot slot;
  RanksWish ranks;
  bool is_alone = true;          ///< no other run of this driver beside it
  std::int64_t until_epoch = 0;  ///< where it is to pause; 0: it trains to its end
};

/// Starts the trainer on a run's frozen config: its log goes on, and end.json says that it was interrupted, which is so
/// unless who started it lives to tell another end. \param claim  of the run; the process holds it too
/// \throws Error when the run's folder cannot be written
[[nodiscard]] Process start_attempt(const SweepFolder& folder, const PlannedRun& run, const FileLock& claim,
                                    const AttemptOptions& options);

}  // namespace xtasc::sweep
