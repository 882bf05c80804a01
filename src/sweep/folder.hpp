#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/file_lock.hpp"
#include "run/run_folder.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// The files of one sweep, by name. Creates nothing.
///
///     <run id>/          a run folder, and in it log.txt and end.json
///     .sweep/            everything else:
///       lock             held by a driver while it changes things
///       claims/<run id>  held by the driver that runs this run here, and by the run itself
///       frozen/<12 hex>/xtasc-train     the program that runs use, by the hash of its content
///       configs/<run id>.toml           the resolved config of each run
///       submissions/     jobs of a cluster
///       race.json        what [stop] halts by, for jobs
///       rungs/epoch_<E>_<N>.json        what was decided after epoch E
///       released/<run id>               of a halted run: it goes on all the same
struct SweepFolder {
  std::filesystem::path root;

  [[nodiscard]] std::filesystem::path own() const { return root / ".sweep"; }
  [[nodiscard]] std::filesystem::path lock() const { return own() / "lock"; }
  [[nodiscard]] std::filesystem::path claim(const std::string& id) const { return own() / "claims" / id; }
  [[nodiscard]] std::filesystem::path frozen() const { return own() / "frozen"; }
  [[nodiscard]] std::filesystem::path config(const std::string& id) const { return own() / "configs" / (id + ".toml"); }
  [[nodiscard]] std::filesystem::path submissions() const { return own() / "submissions"; }
  [[nodiscard]] std::filesystem::path race() const { return own() / "race.json"; }
  [[nodiscard]] std::filesystem::path rungs() const { return own() / "rungs"; }
  [[nodiscard]] std::filesystem::path released(const std::string& id) const { return own() / "released" / id; }
  [[nodiscard]] run::RunFolder run(const std::string& id) const { return {root / id}; }
  /// Standard output and error of the run, one attempt after the other.
  [[nodiscard]] std::filesystem::path log(const std::string& id) const { return root / id / "log.txt"; }
  /// How the last attempt ended (sweep/state.hpp); absent while one is under way.
  [[nodiscard]] std::filesystem::path end(const std::string& id) const { return root / id / "end.json"; }
};

/// Makes the folder and those in .sweep. \throws Error naming the folder and the system's reason
void prepare_sweep_folder(const SweepFolder& folder);

/// The sweep's lock; waits for a minute. \throws Error saying who holds it
[[nodiscard]] FileLock lock_sweep(const SweepFolder& folder);

/// xtasc-train as it is now: `given`, or the one beside this program. \throws Error (exit code 2) when it is no program
[[nodiscard]] std::filesystem::path find_trainer(const std::string& given);

/// Copies the program into frozen/ under the hash of its content, once. What runs use stays as it was, whatever is
/// built meanwhile. Hold the sweep's lock. \param name  of the copy  \returns the copy
[[nodiscard]] std::filesystem::path freeze_program(const SweepFolder& folder, const std::filesystem::path& program,
                                                   const std::string& name);
/// The same for xtasc-train.
[[nodiscard]] std::filesystem::path freeze_trainer(const SweepFolder& folder, const std::filesystem::path& trainer);

/// Whether the system starts this program where it lies. \returns why not, in one line; empty: it does
[[nodiscard]] std::string fault_of_starting(const std::filesystem::path& program);
/// \throws Error with it, or where too few files may be open for a launcher
void check_may_be_started(const std::filesystem::path& program);

/// The sweeps beside this one: the other folders in the folder that it lies in, by name.
[[nodiscard]] std::vector<std::filesystem::path> siblings_of(const SweepFolder& folder);

/// Where a run of this id is DONE in one of `siblings`, the first that there is, and not by a link. nullopt: nowhere
[[nodiscard]] std::optional<run::RunFolder> finished_in(const std::vector<std::filesystem::path>& siblings,
                                                        const std::string& id);

/// Links runs of the same id that are DONE in a sweep beside this one, so that they are not run again. Hold the sweep's
/// lock. \returns those that were linked now
std::vector<const PlannedRun*> link_finished_runs(const Sweep& sweep);

/// Writes the run's resolved config; leaves an equal one as it is. Hold the sweep's lock. \returns its path
std::filesystem::path freeze_config(const SweepFolder& folder, const PlannedRun& run);

}  // namespace xtasc::sweep
