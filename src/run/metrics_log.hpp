#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"

namespace xtasc::run {

/// The numbers of one protocol (SPEC section 5) on one split. Absent when the system has no such task, or when nothing
/// could be counted (no valid pixel). Keys: those that the tasks' rows name (task::Task::metrics, further), each before
/// its factor for the eye; abs_err, rmse in the pack's depth unit.
using MetricValues = std::map<std::string, double>;

/// One epoch, one line of metrics.jsonl.
struct EpochRecord {
  std::int64_t epoch = 0;  ///< 1-based: epochs completed
  std::int64_t step = 0;   ///< optimizer steps since the start of the run
  double learning_rate = 0.0;
  std::map<std::string, double> train_loss;   ///< seg, depth, seg_to_depth, depth_to_seg, total: means over the epoch
  std::map<std::string, double> val_loss;     ///< the same on what was evaluated; total = unweighted sum of eq. 11
  std::map<std::string, double> task_weight;  ///< seg, depth: at the epoch's end
  MetricValues paper;                         ///< metrics, `paper` protocol
  MetricValues dataset;                       ///< metrics, `dataset` protocol
  /// Consistency energy: seg, depth, energy_2021 (analysis::ConsistencyEnergy); empty without task-transfer nets, and
  /// for files of versions that did not measure it.
  std::map<std::string, double> consistency;
  /// Of each pair of tasks whose gradients the weighting method had at hand, "seg,depth": `cosine` and `norm_ratio`,
  /// means over the epoch's steps, and `in_conflict`, the share of steps with a negative cosine. Else empty.
  std::map<std::string, std::map<std::string, double>> gradients = {};
  std::vector<std::optional<double>> class_iou;  ///< dataset protocol; absent for classes that never occur
  bool is_best = false;                          ///< lowest val_loss.total of the run so far
  double images_per_second = 0.0;
  /// One after the other: train; evaluate; checkpoint, which the training stood still for the checkpoint before this
  /// line's.
  std::map<std::string, double> seconds;
  /// What the epoch asked of the machine: `seconds` of rank 0's training by the parts of a step, and with several ranks
  /// in `sums` over them and `waiting` for peers; `flops`, a step's operations in the plain form of its convolutions,
  /// `per_second` of all ranks together, their `peak_per_second`, and `of_peak`; `memory`, the most that a rank had so
  /// far, `host_bytes` and `device_bytes`. What nobody could tell is absent; empty for files of versions without it.
  std::map<std::string, std::map<std::string, double>> machine = {};
  /// What was evaluated are the images that data.holdout holds out, not the validation split: in the line, all that was
  /// measured of them stands under "holdout".
  bool is_of_holdout = false;
  bool is_end_of_patience = false;  ///< train.patience ended the run here: "stopped_by" in the line
};

/// One JSON object on one line, numbers with all their digits; NaN is written as null. Its last field, "digest", is
/// over the line as it would be without it.
[[nodiscard]] std::string to_json_line(const EpochRecord& record);
/// \throws Error naming what is missing or of the wrong type, or saying that the line is not what was written. A line
/// without a digest, of a version that wrote none, is taken as it is.
[[nodiscard]] EpochRecord from_json_line(const std::string& line);

/// Whether lines may lack their digest, as those of versions that wrote none do.
enum class Digests { needed, optional };
/// What the lines of a run with this config must have: ids by content and digests came in one version.
[[nodiscard]] Digests digests_of(const config::RunConfig& config);

/// Reads metrics.jsonl; a torn last line (a killed run: no newline at its end) is left out. An epoch that comes again
/// replaces the first one and all that followed it. \throws Error for any other bad line, with its number.
[[nodiscard]] std::vector<EpochRecord> read_metrics(const std::filesystem::path& path,
                                                    Digests digests = Digests::optional);

/// A run's metrics.jsonl while the run goes on. The whole history is kept here as well: it goes into every checkpoint,
/// and a file that was damaged, or could not be written for a while, is made whole again from it.
class MetricsLog {
 public:
  explicit MetricsLog(std::filesystem::path path) : path_(std::move(path)) {}

  /// Begins with the history of a checkpoint. A file that goes on from there is cut back to it: those epochs come
  /// again. Any other is set aside and written anew, with one line in the log.
  /// \throws Error when the file cannot be written
  void restore(std::string history);
  /// Adds an epoch to the history.
  void add(const EpochRecord& record);
  /// Writes what the file lacks of the history, durably. Where that fails, the log says so; the next call tries again.
  void write();
  /// \throws Error with the path and the system's reason while the file lacks an epoch
  void require_written();

  /// All lines so far.
  [[nodiscard]] const std::string& history() const { return history_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  void write_missing();

  std::filesystem::path path_;
  std::string history_;
  std::size_t num_written_ = 0;  ///< bytes of the history that the file holds
};

}  // namespace xtasc::run
