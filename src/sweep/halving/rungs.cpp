#include "sweep/halving/rungs.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/host.hpp"
#include "io/atomic_file.hpp"
#include "report/delta_m.hpp"
#include "report/metric_columns.hpp"
#include "run/metrics_log.hpp"
#include "sweep/halving/stop.hpp"
#include "sweep/inputs.hpp"
#include "sweep/select.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

bool is_failure(State state) {
  return state == State::failed || state == State::incomplete;
}

/// A run's epoch, of one that ended before it its last. nullopt: it has not come so far
std::optional<run::EpochRecord> record_of(const RunStatus& status, std::int64_t epoch) {
  const run::RunFolder folder{status.folder};
  std::error_code ignored;
  if (!fs::is_regular_file(folder.metrics(), ignored)) {
    return std::nullopt;
  }
  try {
    const std::vector<run::EpochRecord> records = run::read_metrics(folder.metrics());
    const auto found = std::ranges::find(records, epoch, &run::EpochRecord::epoch);
    if (found != records.end()) {
      return *found;
    }
    const bool has_ended = status.state == State::done && !records.empty() && records.back().epoch < epoch;
    return has_ended ? std::optional(records.back()) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;  // the run makes a damaged file whole when it goes on
  }
}

}  // namespace

Rungs::Rungs(const Sweep& sweep, Queue queue)
    : sweep_(sweep), folder_{sweep.folder}, queue_(std::move(queue)), rows_(race_of(sweep)) {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    for (const Runner& runner : rows_[i].runs) {
      row_of_run_[runner.run->id] = i;
    }
  }
  read();
}

void Rungs::read() {
  open_.clear();
  decisions_ = sweep_.stop ? read_decisions(folder_) : std::vector<Decision>();
  verdicts_.assign(rows_.size(), {});
  for (const Decision& decision : decisions_) {
    for (const Decision::Row& decided : decision.rows) {
      for (const std::string& id : decided.runs) {
        const auto row = row_of_run_.find(id);
        if (row == row_of_run_.end()) {
          continue;  // of the sweep as it was
        }
        Verdict& verdict = verdicts_[row->second];
        if (decided.is_kept) {
          verdict.passed = std::max(verdict.passed, decision.after_epoch);
        } else {
          verdict.halted_by = &decision;
          verdict.as = &decided;
        }
      }
    }
  }
}

const Rungs::Verdict& Rungs::verdict_of(const RacingRow& row) const {
  return verdicts_[static_cast<std::size_t>(&row - rows_.data())];
}

bool Rungs::is_halted(const RacingRow& row) const {
  return verdict_of(row).halted_by != nullptr;
}

bool Rungs::has_passed(const RacingRow& row, std::int64_t rung) const {
  return verdict_of(row).passed >= rung;
}

bool Rungs::waits_at(std::int64_t rung, const PlannedRun& run, std::int64_t epoch) const {
  const auto is_it = [&run](const PlannedRun* other) { return other->id == run.id; };
  return std::ranges::any_of(undecided_at(rung), [&](const RacingRow* row) {
    return std::ranges::any_of(row->runs, [&](const Runner& runner) {
      // What a row is set against waits with it: all reach the rung as soon as they can.
      return is_it(runner.run) || (epoch <= rung && std::ranges::any_of(runner.against, is_it));
    });
  });
}

Pace Rungs::pace_of(const PlannedRun& run, std::int64_t epoch) const {
  if (const auto row = row_of_run_.find(run.id); row != row_of_run_.end()) {
    const Verdict& verdict = verdicts_[row->second];
    std::error_code ignored;
    if (verdict.halted_by != nullptr && fs::exists(folder_.released(run.id), ignored)) {
      return {};
    }
    if (verdict.halted_by != nullptr) {
      return {.is_halted = true,
              .text = verdict.halted_by->text_of(*verdict.as),
              .until_epoch = verdict.halted_by->after_epoch};
    }
  }
  for (const std::int64_t rung : sweep_.stop ? sweep_.stop->after_epochs : std::vector<std::int64_t>()) {
    if (waits_at(rung, run, epoch)) {
      return {.until_epoch = rung};
    }
  }
  return {};
}

std::vector<const RacingRow*> Rungs::undecided_at(std::int64_t rung) const {
  std::vector<const RacingRow*> rows;
  for (const RacingRow& row : rows_) {
    if (!is_halted(row) && !has_passed(row, rung)) {
      rows.push_back(&row);
    }
  }
  return rows;
}

const std::vector<OpenNeed>& Rungs::open_at(std::int64_t rung) const {
  const auto [known, is_new] = open_.try_emplace(rung);
  std::vector<OpenNeed>& open = known->second;
  if (!is_new) {
    return open;
  }
  std::set<std::string> seen;
  const auto look_at = [&](const PlannedRun* run, bool may_fail) {
    if (!seen.insert(run->id).second) {
      return;
    }
    RunStatus status = status_of(folder_, *run, queue_);
    if (!record_of(status, rung) && !(may_fail && is_failure(status.state))) {
      open.push_back({run, std::move(status)});
    }
  };
  for (const RacingRow* row : undecided_at(rung)) {
    for (const Runner& runner : row->runs) {
      look_at(runner.run, true);
      std::ranges::for_each(runner.against, [&](const PlannedRun* other) { look_at(other, false); });
    }
  }
  return open;
}

std::optional<double> Rungs::value_of(const RacingRow& row, std::int64_t rung) const {
  double sum = 0.0;
  const auto metrics_of = [&](const PlannedRun* run) {
    const auto record = record_of(status_of(folder_, *run, queue_), rung);
    return !record ? run::MetricValues() : sweep_.stop->protocol == "dataset" ? record->dataset : record->paper;
  };
  for (const Runner& runner : row.runs) {
    const run::MetricValues own = metrics_of(runner.run);
    std::optional<double> value;
    if (sweep_.stop->by == "delta_m") {
      run::MetricValues against;
      for (const PlannedRun* other : runner.against) {
        against.merge(metrics_of(other));
      }
      value = report::delta_m(own, against, config::tasks_of(config::system_of(runner.run->config.model)));
    } else {
      value = report::value_of(own, sweep_.stop->by);
    }
    if (!value) {
      return std::nullopt;
    }
    sum += *value;
  }
  return sum / static_cast<double>(row.runs.size());
}

std::vector<Decision> Rungs::decide() {
  std::vector<Decision> made;
  if (!sweep_.stop) {
    return made;
  }
  read();  // somebody may have been quicker
  for (const std::int64_t rung : sweep_.stop->after_epochs) {
    const std::vector<const RacingRow*> rows = undecided_at(rung);
    if (rows.empty() || !open_at(rung).empty()) {
      continue;
    }
    Decision decision{.after_epoch = rung, .by = sweep_.stop->by, .rows = {}};
    for (const RacingRow* row : rows) {
      decision.rows.push_back({.name = row->name, .runs = {}, .value = value_of(*row, rung)});
      std::ranges::transform(row->runs, std::back_inserter(decision.rows.back().runs),
                             [](const Runner& runner) { return runner.run->id; });
    }
    rank(decision, *sweep_.stop);
    write_decision(folder_, decision, *sweep_.stop, 1 + std::ranges::count(decisions_, rung, &Decision::after_epoch));
    made.push_back(std::move(decision));
    read();
  }
  return made;
}

std::map<std::string, std::int64_t> epochs_at_most(const Sweep& sweep, const Rungs& rungs,
                                                   const std::map<std::string, double>& cost) {
  std::map<std::string, std::int64_t> epochs;
  for (const PlannedRun& run : sweep.runs) {
    epochs[run.id] = run.config.train.epochs;
  }
  const auto halt = [&epochs](const RacingRow& row, std::int64_t epoch) {
    for (const Runner& runner : row.runs) {
      epochs[runner.run->id] = std::min(epochs[runner.run->id], epoch);
    }
  };
  const auto cost_of = [&cost](const RacingRow* row) {
    double sum = 0.0;
    for (const Runner& runner : row->runs) {
      const auto known = cost.find(runner.run->id);
      sum += known == cost.end() ? 0.0 : known->second;
    }
    return sum;
  };
  std::vector<const RacingRow*> alive;
  for (const RacingRow& row : rungs.rows()) {
    if (!rungs.is_halted(row)) {
      alive.push_back(&row);
    }
    for (const Runner& runner : row.runs) {
      if (const Pace pace = rungs.pace_of(*runner.run, 0); pace.is_halted) {
        epochs[runner.run->id] = pace.until_epoch;
      }
    }
  }
  for (const std::int64_t epoch : sweep.stop ? sweep.stop->after_epochs : std::vector<std::int64_t>()) {
    std::vector<const RacingRow*> undecided, others;
    for (const RacingRow* row : alive) {
      (rungs.has_passed(*row, epoch) ? others : undecided).push_back(row);
    }
    std::ranges::stable_sort(undecided, std::greater(), cost_of);
    const std::size_t kept = undecided.empty() ? 0 : num_kept(*sweep.stop, undecided.size());
    std::ranges::for_each(undecided.begin() + static_cast<std::ptrdiff_t>(kept), undecided.end(),
                          [&](const RacingRow* row) { halt(*row, epoch); });
    undecided.resize(kept);
    alive = std::move(others);
    alive.insert(alive.end(), undecided.begin(), undecided.end());
  }
  return epochs;
}

std::int64_t release_halted(const Sweep& sweep, const std::vector<std::string>& only, const Queue& queue) {
  const SweepFolder folder{sweep.folder};
  const std::vector<const PlannedRun*> selected = select(sweep, only);
  require_ids(sweep, selected, "nothing was changed");
  std::error_code error;
  if (!fs::exists(folder.own(), error)) {
    return 0;
  }
  const FileLock lock = lock_sweep(folder);
  std::int64_t count = 0;
  for (const PlannedRun* run : selected) {
    if (status_in(sweep, *run, queue).state == State::halted) {
      fs::create_directories(folder.released(run->id).parent_path(), error);
      check(!error, "cannot make the folder {}: {}", folder.released(run->id).parent_path().string(), error.message());
      io::write_file_atomically(folder.released(run->id), this_process() + "\n");
      ++count;
    }
  }
  return count;
}

}  // namespace xtasc::sweep
