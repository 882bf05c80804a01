#include "sweep/halving/legs.hpp"

#include <algorithm>
#include <iterator>
#include <map>

#include "core/error.hpp"
#include "sweep/select.hpp"
#include "sweep/waiting.hpp"

namespace xtasc::sweep {

Legs legs_of(const Sweep& sweep, const Rungs& rungs, const std::vector<const PlannedRun*>& runs) {
  Legs legs;
  std::map<const PlannedRun*, std::int64_t> epochs;
  for (const PlannedRun* run : runs) {
    epochs[run] = status_of({sweep.folder}, *run).epoch;
    if (!rungs.pace_of(*run, epochs[run]).is_over_at(epochs[run])) {
      legs.first.push_back(run);
    }
  }
  for (const std::int64_t rung : sweep.stop ? sweep.stop->after_epochs : std::vector<std::int64_t>()) {
    Leg leg{.rung = rung};
    std::ranges::copy_if(runs, std::back_inserter(leg.runs), [&](const PlannedRun* run) {
      return run->config.train.epochs > rung && rungs.waits_at(rung, *run, epochs[run]);
    });
    if (leg.runs.empty()) {
      continue;
    }
    const std::vector<OpenNeed>& open = rungs.open_at(rung);
    const auto lost = std::ranges::find_if(open, [&](const OpenNeed& need) {
      return std::ranges::find(runs, need.run) == runs.end() && verdict_on(need.status.state) != Verdict::is_under_way;
    });
    if (lost != open.end()) {
      legs.blocked = fmt::format("at epoch {}, {}", rung, left_waiting_text(*lost, false));
      std::ranges::copy_if(runs, std::back_inserter(legs.left_waiting), [&](const PlannedRun* run) {
        return std::ranges::find(legs.first, run) == legs.first.end();
      });
      break;
    }
    legs.later.push_back(std::move(leg));
  }
  return legs;
}

}  // namespace xtasc::sweep
