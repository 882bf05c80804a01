#include "dist/mpi_start.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/process.hpp"
#include "core/temp_folder.hpp"

namespace xtasc::dist {

namespace {

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

bool has_launcher() {
  constexpr std::array<const char*, 4> kOfLaunchers = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD"};
  return std::ranges::any_of(kOfLaunchers, [](const char* name) { return std::getenv(name) != nullptr; });
}

/// Why nothing can be written to this folder; empty: it can.
std::string fault_of(const std::filesystem::path& folder) {
  try {
    std::error_code ignored;
    std::filesystem::create_directories(folder, ignored);  // Open MPI makes it too
    const TempFolder trial(folder, "xtasc-mpi");
    std::ofstream file(trial.path() / "trial");
    file << std::string(4096, '.') << std::flush;
    return file ? "" : fmt::format("cannot write into '{}': No space left on device", folder.string());
  } catch (const Error& error) {
    return error.what();
  }
}

/// The folder under which Open MPI puts its own files, without which it cannot start.
std::string session_folder() {
  std::string folder = "/tmp";
  for (const char* name : {"TMP", "TEMP", "TMPDIR", "OMPI_MCA_orte_tmpdir_base"}) {
    folder = variable(name).empty() ? folder : variable(name);
  }
  return folder;
}

/// Another one, where TMPDIR's is full or may not be written.
void choose_session_folder() {
  const std::string folder = session_folder();
  const std::string fault = fault_of(folder);
  for (const char* other : {"/tmp", "/dev/shm", "."}) {
    if (!fault.empty() && other != folder && fault_of(other).empty()) {
      log_warning("{}: TMPDIR is of no use; MPI has {} for its own files", fault, other);
      ::setenv("OMPI_MCA_orte_tmpdir_base", other, 1);
      return;
    }
  }
}

/// In a shell that srun started, Open MPI takes this program for a task of srun's, which could not start it.
void forget_shell_of_srun() {
  const std::string step = variable("SLURM_STEP_ID");
  constexpr unsigned long kFirstSpecial =
      0xfffffff0UL;  // of Slurm's ids for the batch script, the interactive step, ...
  const std::string num_tasks = variable("SLURM_STEP_NUM_TASKS");
  // With more tasks a shell, even one of --pty, looks like one of them.
  const bool is_a_shell = std::strtoul(step.c_str(), nullptr, 10) >= kFirstSpecial || num_tasks == "1";
  check(step.empty() || is_a_shell,
        "srun has started this, and not so that it can be one of {} ranks: in a shell of srun's write mpirun -np 1 "
        "before the program, in a batch script srun --mpi=pmix",
        num_tasks.empty() ? "its" : num_tasks);
  for (const char* name : {"SLURM_STEPID", "SLURM_STEP_ID"}) {
    ::unsetenv(name);
  }
}

}  // namespace

void prepare_start() {
  check_can_open(16, "MPI cannot start");  // it crashes
  if (has_launcher()) {
    const std::string fault = fault_of(session_folder());
    check(fault.empty(), "MPI cannot start: {} (TMPDIR)", fault);
    return;
  }
  forget_shell_of_srun();
  choose_session_folder();
  // A world of one needs no daemon beside it, nor a network to look for, which is half a second of each start.
  ::setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
  ::setenv("OMPI_MCA_pml", "ob1", 0);
}

}  // namespace xtasc::dist
