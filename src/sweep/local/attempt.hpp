#pragma once

#include <cstdint>
#include <filesystem>

#include "core/file_lock.hpp"
#include "core/process.hpp"
#include "sweep/folder.hpp"
#include "sweep/local/slots.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

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

/// Whether an exit code is what a signal that we sent leaves behind, even where it came before the run listened.
[[nodiscard]] bool was_stopped(int code);

}  // namespace xtasc::sweep
