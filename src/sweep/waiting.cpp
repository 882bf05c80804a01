#include "sweep/waiting.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "sweep/halving/rungs.hpp"
#include "sweep/select.hpp"

namespace xtasc::sweep {

std::vector<OpenNeed> open_needs(const Sweep& sweep, const PlannedRun& run, const Queue& queue) {
  std::vector<OpenNeed> open;
  for (const std::string& id : run.needs) {
    const auto needed = std::ranges::find(sweep.runs, id, &PlannedRun::id);
    check(needed != sweep.runs.end(), "{} needs {}, which is no run of {}", run.id, id, sweep.name);
    RunStatus status = status_of({sweep.folder}, *needed, queue);
    if (status.state != State::done) {
      open.push_back({&*needed, std::move(status)});
    }
  }
  return open;
}

std::string waiting_text(const std::vector<OpenNeed>& open) {
  std::vector<std::string> failed, waited_for;
  for (const OpenNeed& need : open) {
    const bool has_failed = verdict_on(need.status.state) == Verdict::has_failed;
    (has_failed ? failed : waited_for).push_back(need.run->id);
    if (need.status.state == State::incomplete) {
      return left_waiting_text(need, true);
    }
  }
  return failed.empty() ? fmt::format("waiting for {}", fmt::join(waited_for, " and "))
                        : fmt::format("waiting for {}, which failed", fmt::join(failed, " and "));
}

std::string left_waiting_text(const OpenNeed& need, bool is_selected) {
  const State state = need.status.state;
  const Verdict verdict = verdict_on(state);
  const std::string what = state == State::failed                      ? "failed"
                           : verdict == Verdict::start && !is_selected ? "is not selected and not done"
                                                                       : fmt::format("is {}", name(state));
  const bool is_elsewhere = verdict == Verdict::is_under_way && !need.status.detail.empty();
  return fmt::format("waiting for {}, which {}{}", need.run->id, what,
                     is_elsewhere ? fmt::format(" ({})", need.status.detail) : "");
}

std::string rung_text(std::int64_t rung, const std::vector<OpenNeed>& open) {
  if (open.empty()) {
    return fmt::format("at epoch {}: every row is there, the next `run` or `submit` decides who goes on", rung);
  }
  const std::size_t others = open.size() - 1;
  return fmt::format("at epoch {}, {}{}", rung, left_waiting_text(open.front(), true),
                     others == 0 ? "" : fmt::format(", and {} other run{}", others, others == 1 ? "" : "s"));
}

RunStatus status_in(const Sweep& sweep, const PlannedRun& run, const Queue& queue) {
  return status_in(sweep, run, queue, Rungs(sweep, queue));
}

RunStatus status_in(const Sweep& sweep, const PlannedRun& run, const Queue& queue, const Rungs& rungs) {
  RunStatus status = status_of({sweep.folder}, run, queue);
  if (!run.has_id() || verdict_on(status.state) != Verdict::start) {
    return status;
  }
  const Pace pace = rungs.pace_of(run, status.epoch);
  if (pace.is_halted) {
    status.state = State::halted;
    status.detail = pace.text;
    return status;
  }
  if (pace.is_over_at(status.epoch)) {
    status.state = State::paused;
    status.detail = rung_text(pace.until_epoch, rungs.open_at(pace.until_epoch));
    return status;
  }
  if (const std::vector<OpenNeed> open = open_needs(sweep, run, queue); !open.empty()) {
    status.state = State::waiting;
    status.detail = waiting_text(open);
  }
  return status;
}

}  // namespace xtasc::sweep
