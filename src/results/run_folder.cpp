#include "results/run_folder.hpp"

#include <algorithm>
#include <string_view>
#include <system_error>

#include "core/error.hpp"
#include "io/atomic_file.hpp"

namespace fs = std::filesystem;

namespace xtasc::results {

void prepare_run_folder(const RunFolder& run) {
  std::error_code error;
  fs::create_directories(run.root, error);
  check(!error, "cannot make the run folder {}: {}", run.root.string(), error.message());
  // Permission bits tell little on network file systems and to root: write, as the run will.
  const fs::path probe = run.root / ".write_test";
  io::write_file_atomically(probe, std::string_view("this run can write here\n"));
  fs::remove(probe, error);
  check(!error, "cannot remove {} again: {}", probe.string(), error.message());
}

void restart(const RunFolder& run) {
  io::write_file_atomically(run.restart_marker(), std::string_view("this run is being started anew\n"));
  finish_restart(run);
}

void finish_restart(const RunFolder& run) {
  if (!fs::exists(run.restart_marker())) {
    return;
  }
  std::error_code error;
  for (const fs::path& path : {run.done_marker(), run.checkpoints(), run.metrics(), run.provenance()}) {
    fs::remove_all(path, error);
    check(!error, "cannot remove {} of the run that --restart throws away: {}", path.string(), error.message());
  }
  io::sync_folder(run.root);
  fs::remove(run.restart_marker(), error);
  check(!error, "cannot remove {}: {}", run.restart_marker().string(), error.message());
}

fs::path set_aside(const fs::path& path) {
  const fs::path aside = path.parent_path() / (path.filename().string() + ".damaged");
  std::error_code error;
  fs::remove_all(aside, error);
  check(!error, "cannot remove {}: {}", aside.string(), error.message());
  fs::rename(path, aside, error);
  check(!error, "cannot rename {} to {}: {}", path.string(), aside.string(), error.message());
  return aside;
}

RunFolder find_run(const fs::path& path) {
  const std::vector<RunFolder> runs = find_runs(path);
  check(!runs.empty(), "no run in {}: found no config.toml in it or below it; give a run folder", path.string());
  if (runs.front().root == path || runs.size() == 1) {
    return runs.front();
  }
  std::vector<std::string> names;
  names.reserve(runs.size());
  for (const RunFolder& run : runs) {
    names.push_back(run.root.string());
  }
  throw Error(fmt::format("{} runs below {}: give the folder of one of them", runs.size(), path.string()),
              ExitCode::failure, names);
}

std::vector<RunFolder> find_runs(const fs::path& root) {
  std::error_code error;
  const fs::file_status status = fs::status(root, error);
  check(fs::exists(status), "no folder {}: give a run folder, or one that has runs below it", root.string());
  check(fs::is_directory(status), "{} is not a folder: give a run folder, or one that has runs below it",
        root.string());
  std::vector<RunFolder> runs;
  const auto add_if_run = [&runs](const fs::path& folder) {
    std::error_code ignored;
    if (fs::is_regular_file(folder / "config.toml", ignored)) {
      runs.push_back(RunFolder{folder});
    }
  };
  add_if_run(root);
  fs::recursive_directory_iterator entry(root, fs::directory_options::skip_permission_denied, error);
  check(!error, "cannot list {}: {}", root.string(), error.message());
  while (entry != fs::recursive_directory_iterator()) {
    std::error_code vanished;
    if (entry->is_directory(vanished)) {
      if (entry->path().filename() == "checkpoint") {
        entry.disable_recursion_pending();
      } else {
        add_if_run(entry->path());
      }
    }
    entry.increment(error);
    check(!error, "cannot list {}: {}", root.string(), error.message());
  }
  std::sort(runs.begin(), runs.end(), [](const RunFolder& a, const RunFolder& b) { return a.root < b.root; });
  return runs;
}

}  // namespace xtasc::results
