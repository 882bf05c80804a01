#include "run/run_folder.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "io/file.hpp"

namespace fs = std::filesystem;

namespace xtasc::run {

namespace {

/// Walks the folders below a root: first those that are reached without a link, then what links lead to.
class RunSearch {
 public:
  explicit RunSearch(const fs::path& root) : root_(root) {}

  std::vector<RunFolder> run() {
    enter(root_);
    std::error_code error;
    fs::path above = fs::canonical(root_, error);
    while (above.has_relative_path()) {  // a link upwards would lead to everything beside the root
      above = above.parent_path();
      is_new(above);
    }
    while (!links_.empty()) {
      std::vector<fs::path> links = std::exchange(links_, {});
      std::sort(links.begin(), links.end());
      for (const fs::path& link : links) {
        enter(link);
      }
    }
    std::sort(runs_.begin(), runs_.end(), [](const RunFolder& a, const RunFolder& b) { return a.root < b.root; });
    return std::move(runs_);
  }

 private:
  /// Whether this folder was not seen before, by whatever path.
  bool is_new(const fs::path& folder) {
    struct stat status {};
    return ::stat(folder.c_str(), &status) == 0 && seen_.emplace(status.st_dev, status.st_ino).second;
  }

  void enter(const fs::path& folder) {
    if (!is_new(folder)) {
      return;
    }
    std::error_code error;
    const fs::path config = folder / "config.toml";
    if (fs::is_regular_file(config, error)) {
      runs_.push_back(RunFolder{folder});
    } else if (const std::string fault = io::fault_of_file(config); !fault.empty()) {
      log_warning("{} is left out as a run: cannot read '{}': {}", folder.string(), config.string(), fault);
    }
    fs::directory_iterator entry(folder, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
      look_at(*entry);
    }
    if (error == std::errc::permission_denied) {
      log_warning("{} is left out: {}", folder.string(), error.message());
    } else {
      check(!error || error == std::errc::no_such_file_or_directory, "cannot list {}: {}", folder.string(),
            error.message());  // a run that was just removed is none
    }
  }

  void look_at(const fs::directory_entry& entry) {
    std::error_code error;
    const std::string name = entry.path().filename().string();
    const bool is_folder = entry.is_directory(error);
    if (entry.is_symlink(error)) {
      // A hidden link that leads nowhere is no folder of runs: editors' locks are such.
      if (is_folder && name != "checkpoint") {
        links_.push_back(entry.path());
      } else if (!name.starts_with('.') && name != "config.toml" &&
                 fs::status(entry.path(), error).type() == fs::file_type::not_found) {
        log_warning("{} is left out: it is a link that leads nowhere ({})", entry.path().string(),
                    fs::read_symlink(entry.path(), error).string());
      }
    } else if (is_folder && name != "checkpoint") {
      enter(entry.path());
    }
  }

  const fs::path& root_;
  std::set<std::pair<dev_t, ino_t>> seen_;
  std::vector<fs::path> links_;  ///< to folders, still to be entered
  std::vector<RunFolder> runs_;
};

}  // namespace

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
  for (const fs::path& path : {run.done_marker(), run.final_metrics(), run.checkpoints(), run.metrics(),
                               run.provenance(), run.tensorboard(), run.profile()}) {
    fs::remove_all(path, error);
    check(!error, "cannot remove {} of the run that --restart throws away: {}", path.string(), error.message());
  }
  io::sync_folder(run.root);
  fs::remove(run.restart_marker(), error);
  check(!error, "cannot remove {}: {}", run.restart_marker().string(), error.message());
}

fs::path set_aside(const fs::path& path) {
  fs::path aside = path.parent_path() / (path.filename().string() + ".damaged");
  std::error_code error;
  fs::remove_all(aside, error);
  check(!error, "cannot remove {}: {}", aside.string(), error.message());
  fs::rename(path, aside, error);
  check(!error, "cannot rename {} to {}: {}", path.string(), aside.string(), error.message());
  return aside;
}

RunFolder find_run(const fs::path& path) {
  const std::vector<RunFolder> runs = find_runs(path);
  if (runs.empty()) {
    io::check_is_file(path / "config.toml");
    fail_usage("no run in {}: found no config.toml in it or below it; give a run folder", path.string());
  }
  if (runs.front().root == path || runs.size() == 1) {
    return runs.front();
  }
  std::vector<std::string> names;
  names.reserve(runs.size());
  for (const RunFolder& run : runs) {
    names.push_back(run.root.string());
  }
  throw Error(fmt::format("{} runs below {}: give the folder of one of them", runs.size(), path.string()),
              ExitCode::usage, names);
}

std::vector<RunFolder> find_runs(const fs::path& root) {
  std::error_code error;
  const fs::file_status status = fs::status(root, error);
  if (!fs::exists(status)) {
    fail_usage("no folder {}: give a run folder, or one that has runs below it", root.string());
  }
  if (!fs::is_directory(status)) {
    fail_usage("{} is not a folder: give a run folder, or one that has runs below it", root.string());
  }
  return RunSearch(root).run();
}

}  // namespace xtasc::run
