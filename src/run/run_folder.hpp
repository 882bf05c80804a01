#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace xtasc::run {

/// The files of one run, by name. Creates nothing.
///
///     config.toml  provenance.json  metrics.jsonl  checkpoint/{last,best}/  final.jsonl (data.holdout)  CITATION.cff
///     DONE
///     attempt.json  lock  STOP  log.txt
///     tensorboard/ (run.tensorboard)  profile/ (run.profile)
///     .restarting  while an old run is being thrown away: whatever else is here no longer counts
struct RunFolder {
  std::filesystem::path root;

  [[nodiscard]] std::filesystem::path config() const { return root / "config.toml"; }
  [[nodiscard]] std::filesystem::path provenance() const { return root / "provenance.json"; }
  [[nodiscard]] std::filesystem::path metrics() const { return root / "metrics.jsonl"; }
  /// Of a run that held images out: its best and its last epoch as in metrics.jsonl, but of the validation split.
  [[nodiscard]] std::filesystem::path final_metrics() const { return root / "final.jsonl"; }
  /// Whose work it uses, written when it is done.
  [[nodiscard]] std::filesystem::path citation() const { return root / "CITATION.cff"; }
  [[nodiscard]] std::filesystem::path checkpoints() const { return root / "checkpoint"; }
  [[nodiscard]] std::filesystem::path done_marker() const { return root / "DONE"; }
  [[nodiscard]] std::filesystem::path attempt() const { return root / "attempt.json"; }
  [[nodiscard]] std::filesystem::path lock() const { return root / "lock"; }
  /// Made by a user: the run saves and stops within a step.
  [[nodiscard]] std::filesystem::path stop_request() const { return root / "STOP"; }
  /// What the run printed, start after start; written by whoever starts it for a sweep.
  [[nodiscard]] std::filesystem::path log() const { return root / "log.txt"; }
  /// Event files, one a start.
  [[nodiscard]] std::filesystem::path tensorboard() const { return root / "tensorboard"; }
  /// Traces of torch's profiler, one a rank.
  [[nodiscard]] std::filesystem::path profile() const { return root / "profile"; }
  [[nodiscard]] std::filesystem::path restart_marker() const { return root / ".restarting"; }
  [[nodiscard]] bool is_done() const {
    return std::filesystem::exists(done_marker()) && !std::filesystem::exists(restart_marker());
  }
};

/// Throws an old run away. It is gone with one rename, that of `restart_marker`; what a crash leaves behind it is
/// removed by finish_restart, with which every start begins. \throws Error with the path and the system's reason
void restart(const RunFolder& run);
void finish_restart(const RunFolder& run);

/// Moves a damaged file or folder out of the way, to NAME.damaged beside it, in the place of an older one. \returns
/// where it lies now \throws Error with the path and the system's reason
std::filesystem::path set_aside(const std::filesystem::path& path);

/// Creates the folder (and parents) and proves that files can be written there.
/// \throws Error naming the folder and the system's reason: before training, not after.
void prepare_run_folder(const RunFolder& run);

/// `path` itself when it holds a config.toml, else the single run below it.
/// \throws Error when there is none, or several (they are listed).
[[nodiscard]] RunFolder find_run(const std::filesystem::path& path);

/// Every folder below `root` (itself included) that holds a config.toml, sorted by path. Links to folders are followed,
/// but no folder is entered twice, however many ways lead to it, and none above `root`: each run is there once, by a
/// path without links where it has one. A link that leads nowhere and a folder that may not be read are warned of.
[[nodiscard]] std::vector<RunFolder> find_runs(const std::filesystem::path& root);

}  // namespace xtasc::run
