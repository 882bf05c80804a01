#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace xtasc::results {

/// The numbers of one protocol (SPEC section 5) on one split. Absent when the system has no such task, or when nothing
/// could be counted (no valid pixel). mIoU and pixel accuracy are shares in 0..1; abs_err, rmse in the pack's depth
/// unit. Keys: miou, pix_acc, abs_err, rel_err, rmse, irmse, log_irmse, sq_rel, delta_1, delta_2, delta_3.
using MetricValues = std::map<std::string, double>;

/// One epoch, one line of metrics.jsonl.
struct EpochRecord {
  std::int64_t epoch = 0;  ///< 1-based: epochs completed
  std::int64_t step = 0;   ///< optimizer steps since the start of the run
  double learning_rate = 0.0;
  std::map<std::string, double> train_loss;   ///< seg, depth, seg_to_depth, depth_to_seg, total: means over the epoch
  std::map<std::string, double> val_loss;     ///< the same on the validation set; total = unweighted sum of eq. 11
  std::map<std::string, double> task_weight;  ///< seg, depth: at the epoch's end
  MetricValues paper;                         ///< metrics, `paper` protocol
  MetricValues dataset;                       ///< metrics, `dataset` protocol
  /// Consistency energy: seg, depth, energy_2021 (metric::ConsistencyEnergy); empty without task-transfer nets, and for
  /// files of versions that did not measure it.
  std::map<std::string, double> consistency;
  std::vector<std::optional<double>> class_iou;  ///< dataset protocol; absent for classes that never occur
  bool is_best = false;                          ///< lowest val_loss.total so far
  double images_per_second = 0.0;
  std::map<std::string, double> seconds;  ///< by phase: train, evaluate, checkpoint
};

/// One JSON object on one line, numbers with all their digits; NaN is written as null.
[[nodiscard]] std::string to_json_line(const EpochRecord& record);
/// \throws Error naming what is missing or of the wrong type.
[[nodiscard]] EpochRecord from_json_line(const std::string& line);

/// Reads metrics.jsonl; a torn last line (a killed run: no newline at its end) is left out. An epoch that comes again
/// replaces the first one and all that followed it. \throws Error for any other bad line, with its number.
[[nodiscard]] std::vector<EpochRecord> read_metrics(const std::filesystem::path& path);
/// Rewrites metrics.jsonl atomically with the records of epochs <= last_epoch: what a resumed run starts from.
/// No file, no work: the run was stopped before its first epoch ended.
void truncate_metrics(const std::filesystem::path& path, std::int64_t last_epoch);
/// Appends one line and makes it durable; a torn line before it is cut off. \throws Error with the path and the
/// system's reason, the file then being as it was: the run may go on and try again with the next epoch.
void append_metrics(const std::filesystem::path& path, const EpochRecord& record);

}  // namespace xtasc::results
