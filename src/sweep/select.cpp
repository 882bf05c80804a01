#include "sweep/select.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "core/command.hpp"
#include "core/error.hpp"
#include "core/host.hpp"
#include "sweep/inputs.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

std::vector<const PlannedRun*> select(const Sweep& sweep, const std::vector<std::string>& only) {
  std::set<const PlannedRun*> wanted;
  std::vector<std::string> rows;
  for (const PlannedRun& run : sweep.runs) {
    if (rows.empty() || rows.back() != run.row) {
      rows.push_back(run.row);
    }
  }
  for (const std::string& pattern : only) {
    const bool is_name =
        std::ranges::any_of(sweep.runs, [&](const PlannedRun& run) { return pattern == run.id || pattern == run.row; });
    const bool is_glob = pattern.find_first_of("*?[") != std::string::npos;
    const auto fits = [&](const std::string& text) {
      return is_name   ? text == pattern
             : is_glob ? ::fnmatch(pattern.c_str(), text.c_str(), 0) == 0
                       : text.find(pattern) != std::string::npos;
    };
    bool fits_any = false;
    for (const PlannedRun& run : sweep.runs) {
      if (fits(run.id) || fits(run.row)) {
        wanted.insert(&run);
        fits_any = true;
      }
    }
    if (!fits_any) {
      fail_usage("--only {}: no run's id or row is like that; rows are {}", pattern, fmt::join(rows, "; "));
    }
  }
  std::vector<const PlannedRun*> selected;
  for (const PlannedRun& run : sweep.runs) {
    if (only.empty() || wanted.contains(&run)) {
      selected.push_back(&run);
    }
  }
  return selected;
}

Verdict verdict_on(State state) {
  switch (state) {
    case State::waiting:
    case State::interrupted:
    case State::paused:
      return Verdict::start;
    case State::halted:
      return Verdict::is_halted;
    case State::queued:
    case State::running:
      return Verdict::is_under_way;
    case State::incomplete:
    case State::failed:
      return Verdict::has_failed;
    case State::done:
      return Verdict::is_done;
  }
  fail("unknown state {}", static_cast<int>(state));
}

std::string strangers_text(const Sweep& sweep, const Queue& queue) {
  std::vector<std::string> strangers;
  for (const auto& [id, job] : queue) {
    if (job.kind != QueueState::Kind::ended && std::ranges::find(sweep.runs, id, &PlannedRun::id) == sweep.runs.end()) {
      strangers.push_back(fmt::format("{} (job {})", id, job.job));
    }
  }
  return strangers.empty() ? ""
                           : fmt::format(
                                 "{} run{} in the queue {} of this sweep as it is now, but of another pack or "
                                 "other settings: {}",
                                 strangers.size(), strangers.size() == 1 ? "" : "s",
                                 strangers.size() == 1 ? "is none" : "are none", fmt::join(strangers, ", "));
}

std::string left_alone_text(const Sweep& sweep, std::size_t num_failed) {
  std::string which = shell_word(sweep.file.string());
  for (const std::string& assignment : sweep.overrides) {
    which += fmt::format(" --set {}", shell_word(assignment));
  }
  return fmt::format(
      "{} failed run{} left alone: `xtasc-sweep retry {} --failed` lets {} start again, `xtasc-sweep logs {} RUN` "
      "shows what a run said",
      num_failed, num_failed == 1 ? " is" : "s are", which, num_failed == 1 ? "it" : "them", which);
}

std::int64_t clear_failures(const Sweep& sweep, const std::vector<std::string>& only, const Queue& queue) {
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
    if (verdict_on(status_of(folder, *run, queue).state) == Verdict::has_failed) {
      write_end(folder, run->id, {.code = static_cast<int>(ExitCode::interrupted), .by = this_process()});
      // A folder that is another run's stays what it is.
      count += verdict_on(status_of(folder, *run, {}).state) == Verdict::has_failed ? 0 : 1;
    }
  }
  return count;
}

}  // namespace xtasc::sweep
