#include "sweep/select.hpp"

#include <fnmatch.h>

#include <set>
#include <system_error>

#include "core/error.hpp"

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
    const bool is_glob = pattern.find_first_of("*?[") != std::string::npos;
    const auto fits = [&](const std::string& text) {
      return is_glob ? ::fnmatch(pattern.c_str(), text.c_str(), 0) == 0 : text.find(pattern) != std::string::npos;
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

std::int64_t clear_failures(const Sweep& sweep, const std::vector<std::string>& only, const Queue& queue) {
  const SweepFolder folder{sweep.folder};
  const std::vector<const PlannedRun*> selected = select(sweep, only);
  std::error_code error;
  if (!fs::exists(folder.own(), error)) {
    return 0;
  }
  const FileLock lock = lock_sweep(folder);
  std::int64_t count = 0;
  for (const PlannedRun* run : selected) {
    const State state = status_of(folder, *run, queue).state;
    if (state == State::failed || state == State::incomplete) {
      write_end(folder, run->id, {.code = static_cast<int>(ExitCode::interrupted), .by = this_process()});
      ++count;
    }
  }
  return count;
}

}  // namespace xtasc::sweep
