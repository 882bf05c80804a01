#pragma once

#include <string>
#include <vector>

#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// Why runs that are about to start could not: one line for each file, naming the config key.
struct InputFaults {
  std::vector<std::string> absent;  ///< not on this machine; maybe on the one that will run it
  std::vector<std::string> wrong;   ///< here, but not what a run can use
};

/// Looks at the files that configs name, each once: data.pack with data.label_set, and model.encoder_weights. Of a pack
/// it reads what describes it, no samples; of weights only that they are there.
[[nodiscard]] InputFaults check_inputs(const std::vector<const PlannedRun*>& runs);

/// \throws Error with all `faults`, and that nothing was run. Returns when there are none.
void refuse(const Sweep& sweep, const std::vector<std::string>& faults);

}  // namespace xtasc::sweep
