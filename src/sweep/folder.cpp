#include "sweep/folder.hpp"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "core/error.hpp"
#include "core/host.hpp"
#include "core/process.hpp"
#include "io/atomic_file.hpp"
#include "io/checksum.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, "cannot make the folder {}: {}", folder.string(), error.message());
}

}  // namespace

void prepare_sweep_folder(const SweepFolder& folder) {
  for (const fs::path& path :
       {folder.root, folder.own() / "claims", folder.frozen(), folder.own() / "configs", folder.submissions()}) {
    make_folder(path);
  }
}

FileLock lock_sweep(const SweepFolder& folder) {
  constexpr double kTimeoutSeconds = 60.0;
  return FileLock::take(folder.lock(), this_process(), kTimeoutSeconds);
}

fs::path find_trainer(const std::string& given) {
  std::error_code error;
  fs::path trainer =
      given.empty() ? fs::read_symlink("/proc/self/exe", error).parent_path() / "xtasc-train" : fs::path(given);
  if (!fs::is_regular_file(trainer, error) || ::access(trainer.c_str(), X_OK) != 0) {
    fail_usage("{} is no program: build xtasc-train, or name it with --trainer", trainer.string());
  }
  return trainer;
}

fs::path freeze_trainer(const SweepFolder& folder, const fs::path& trainer) {
  return freeze_program(folder, trainer, "xtasc-train");
}

fs::path freeze_program(const SweepFolder& folder, const fs::path& program, const std::string& name) {
  const std::string content = io::read_file(program);
  fs::path copy = folder.frozen() / io::digest_hex(content).substr(0, 12) / name;
  std::error_code error;
  // In a bundle (launch/bundle.sh) a program looks for its libraries in ../lib.
  const fs::path libraries = fs::absolute(program).parent_path().parent_path() / "lib";
  if (fs::exists(libraries / "libtorch_cpu.so", error) && !fs::exists(folder.frozen() / "lib", error)) {
    make_folder(folder.frozen());
    fs::create_directory_symlink(libraries, folder.frozen() / "lib", error);
    check(!error, "cannot link {} to {}: {}", (folder.frozen() / "lib").string(), libraries.string(), error.message());
  }
  if (!fs::exists(copy, error)) {
    make_folder(copy.parent_path());
    const fs::path temporary = io::temporary_path(copy);
    io::write_file_atomically(temporary, std::string_view(content));
    fs::permissions(temporary, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                                   fs::perms::others_read | fs::perms::others_exec);
    io::publish_file(temporary, copy);
  }
  return copy;
}

std::string fault_of_starting(const fs::path& program) {
  if (::access(program.c_str(), X_OK) == 0) {
    return {};
  }
  const int reason = errno;
  struct statvfs system {};
  const bool is_noexec = ::statvfs(program.c_str(), &system) == 0 && (system.f_flag & ST_NOEXEC) != 0;
  return fmt::format("cannot start {}: {}", program.string(),
                     is_noexec
                         ? "its file system is mounted noexec, so that no program starts from there; give run.output "
                           "a folder on another one"
                         : errno_text(reason));
}

void check_may_be_started(const fs::path& program) {
  const std::string fault = fault_of_starting(program);
  check(fault.empty(), "{}", fault);
  check_can_open(64, "runs cannot be started");  // mpirun hangs below 40
}

std::vector<fs::path> siblings_of(const SweepFolder& folder) {
  std::error_code error;
  std::vector<fs::path> siblings;
  const fs::path parent = folder.root.parent_path();
  for (const fs::directory_entry& entry : fs::directory_iterator(parent.empty() ? "." : parent, error)) {
    std::error_code absent;
    if (entry.path().filename() != folder.root.filename() && entry.is_directory(error) &&
        !fs::equivalent(entry.path(), folder.root, absent)) {
      siblings.push_back(entry.path());
    }
  }
  std::ranges::sort(siblings);
  return siblings;
}

std::optional<run::RunFolder> finished_in(const std::vector<fs::path>& siblings, const std::string& id) {
  std::error_code error;
  for (const fs::path& sibling : siblings) {
    const run::RunFolder run{sibling / id};
    if (!fs::is_symlink(run.root, error) && run.is_done()) {
      return run;
    }
  }
  return std::nullopt;
}

std::vector<const PlannedRun*> link_finished_runs(const Sweep& sweep) {
  const SweepFolder folder{sweep.folder};
  const std::vector<fs::path> siblings = siblings_of(folder);
  std::vector<const PlannedRun*> linked;
  std::error_code error;
  for (const PlannedRun& run : sweep.runs) {
    const fs::path own = folder.run(run.id).root;
    if (!run.has_id() || fs::exists(fs::symlink_status(own, error))) {
      continue;
    }
    if (const auto other = finished_in(siblings, run.id)) {
      // From where the folder really lies, which it may be reached through a link to.
      const fs::path relative =
          fs::relative(fs::canonical(other->root, error), fs::canonical(folder.root, error), error);
      check(!error, "cannot find {}: {}", other->root.string(), error.message());
      fs::create_directory_symlink(relative, own, error);
      check(!error, "cannot link {} to {}: {}", own.string(), relative.string(), error.message());
      linked.push_back(&run);
    }
  }
  return linked;
}

fs::path freeze_config(const SweepFolder& folder, const PlannedRun& run) {
  fs::path path = folder.config(run.id);
  const std::string text = config::to_toml(run.config, /*documented=*/false);
  std::error_code error;
  if (!fs::exists(path, error) || io::read_file(path) != text) {
    io::write_file_atomically(path, std::string_view(text));
  }
  return path;
}

}  // namespace xtasc::sweep
