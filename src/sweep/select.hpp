#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sweep/state.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// The runs whose id or row a pattern fits: one that is just that; else with * ? [] as a shell has them, or as a part
/// of the text. No pattern: all. They point into `sweep`. \throws Error (exit code 2) when a pattern fits none
[[nodiscard]] std::vector<const PlannedRun*> select(const Sweep& sweep, const std::vector<std::string>& only);

/// What a driver, here or for a cluster, does about a run.
enum class Verdict {
  start,         ///< it never started, was interrupted, or waits at a rung
  is_under_way,  ///< queued or running somewhere
  has_failed,    ///< failed or incomplete: left alone until clear_failures()
  is_halted,     ///< left alone until release_halted() (sweep/halving/rungs.hpp)
  is_done,
};
[[nodiscard]] Verdict verdict_on(State state);

/// "3 runs in the queue are none of this sweep as it is now, ..." with their ids and jobs: it was submitted with
/// another pack, or other settings. Empty: there are none.
[[nodiscard]] std::string strangers_text(const Sweep& sweep, const Queue& queue);

/// "2 failed runs are left alone: ..." with the command that lets them start again.
[[nodiscard]] std::string left_alone_text(const Sweep& sweep, std::size_t num_failed);

/// Lets failed and incomplete runs start again, from their last checkpoint: they count as interrupted from now on.
/// \param queue  what a cluster says of them \returns how many
[[nodiscard]] std::int64_t clear_failures(const Sweep& sweep, const std::vector<std::string>& only, const Queue& queue);

}  // namespace xtasc::sweep
