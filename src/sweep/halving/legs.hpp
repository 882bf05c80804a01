#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sweep/halving/rungs.hpp"
#include "sweep/state.hpp"

namespace xtasc::sweep {

/// Runs that go on from a rung together, once it is decided.
struct Leg {
  std::int64_t rung = 0;
  std::vector<const PlannedRun*> runs = {};
};

/// Runs cut at the rungs of [stop], for a cluster that is given everything at once.
struct Legs {
  std::vector<const PlannedRun*> first = {};  ///< to train before any rung; the others stand at one
  std::vector<Leg> later = {};                ///< by their rung: those too that will be halted there
  /// Of a rung that waits for runs which nobody is going to do: no leg goes on from it.
  std::string blocked = {};
  std::vector<const PlannedRun*> left_waiting = {};  ///< that stand at it
};

/// \param runs  that are to be handed in, of `sweep`. Without [stop] they are all in the first leg.
[[nodiscard]] Legs legs_of(const Sweep& sweep, const Rungs& rungs, const std::vector<const PlannedRun*>& runs);

}  // namespace xtasc::sweep
