#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sweep/folder.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// A run of a row that may be halted.
struct Runner {
  const PlannedRun* run;
  /// With by = "delta_m": the runs that its Delta_m is over, of its seed and data.
  std::vector<const PlannedRun*> against = {};
};

/// A row that may be halted: not the baseline, not single-task nets, not what other rows learn from.
struct RacingRow {
  std::string name;
  std::vector<Runner> runs;
};

/// The rows that [stop] may halt, in the sweep's order; none without [stop]. They point into `sweep`. Delta_m is over
/// the single-task nets that tables set a row against; in a sweep without any, over its baseline row.
/// \param faults  a line for each row that cannot be ranked
[[nodiscard]] std::vector<RacingRow> race_of(const Sweep& sweep, std::vector<std::string>* faults = nullptr);

/// What is wrong with [stop] for the rows of this sweep, one line a fault. \param where  of [stop]
void check_race(const Sweep& sweep, const std::string& where, std::vector<std::string>& faults);

/// Writes down what decides who is halted, for jobs that have no sweep file: .sweep/race.json, and the config of every
/// run. Hold the sweep's lock.
void freeze_race(const Sweep& sweep);

/// The sweep as freeze_race left it: folder, baseline, [stop] and runs; nullopt where that was never called.
/// \throws Error when the file is damaged
[[nodiscard]] std::optional<Sweep> read_frozen_race(const SweepFolder& folder);

}  // namespace xtasc::sweep
