#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sweep/state.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

class Rungs;

/// A run that another one needs and that is not DONE.
struct OpenNeed {
  const PlannedRun* run;
  RunStatus status;
};

/// The runs that `run` needs and that are not done, in the order of PlannedRun::needs. They point into `sweep`.
[[nodiscard]] std::vector<OpenNeed> open_needs(const Sweep& sweep, const PlannedRun& run, const Queue& queue = {});

/// For status: "waiting for A and B"; those that will not be done by themselves alone: "waiting for A, which failed".
[[nodiscard]] std::string waiting_text(const std::vector<OpenNeed>& open);

/// For a driver that is not going to wait: "waiting for A, which is not selected and not done".
/// \param is_selected  whether the driver was asked to run it
[[nodiscard]] std::string left_waiting_text(const OpenNeed& need, bool is_selected);

/// "at epoch 20, waiting for A, which is running, and 3 other runs". \param open  of that rung
[[nodiscard]] std::string rung_text(std::int64_t rung, const std::vector<OpenNeed>& open);

/// status_of a run of the sweep; one that might start, but needs runs that are not done, is waiting for them, and one
/// that [stop] holds is paused or halted.
[[nodiscard]] RunStatus status_in(const Sweep& sweep, const PlannedRun& run, const Queue& queue = {});
[[nodiscard]] RunStatus status_in(const Sweep& sweep, const PlannedRun& run, const Queue& queue, const Rungs& rungs);

}  // namespace xtasc::sweep
