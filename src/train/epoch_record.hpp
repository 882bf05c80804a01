#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "loss/objective.hpp"
#include "run/metrics_log.hpp"
#include "train/checkpoint.hpp"
#include "train/evaluate.hpp"

// What an epoch has to say, for metrics.jsonl and for the eye.
namespace xtasc::train {

/// Whether steps of a run may count nothing of a term for a reason of their own: a draw of transfers, or images without
/// labels of a task. Else every step counts in the epoch's means as it is.
[[nodiscard]] bool counts_by_term(const config::RunConfig& config, const data::Dataset& train);

/// Of the epoch under way: the objective's terms and "total", by name; none of a term of which no step counted
/// anything, where steps tell (Progress::epoch_term_images).
[[nodiscard]] std::map<std::string, double> mean_train_losses(const Progress& progress,
                                                              const loss::Objective& objective);
/// (tasks) float64, host: the tasks' losses over the epoch under way; of transfers that steps drew, over all of them.
[[nodiscard]] at::Tensor epoch_losses(const Progress& progress, const config::RunConfig& config,
                                      const Learner& learner);
/// The mean weights of the epoch by the tasks' keys; empty for a single task.
[[nodiscard]] std::map<std::string, double> mean_task_weights(const Progress& progress,
                                                              const loss::Objective& objective);

/// The epoch that just ended, but for its learning rate, seconds and what it asked of the machine. \param progress  of
/// its last step \param is_of_holdout  what was evaluated are held-out images
[[nodiscard]] run::EpochRecord record_of(const config::RunConfig& config, const Learner& learner,
                                         const Progress& progress, const Evaluation& evaluation, bool is_of_holdout);

/// "loss 1.2345 seg 0.9876 depth 0.2469", of one step. \param losses  StepResult::losses
[[nodiscard]] std::string loss_text(const std::vector<double>& losses, const loss::Objective& objective);
/// Warns of tasks that an epoch's weights left out. \param smallest  of TaskWeighting::smallest_weight()
void warn_of_small_weights(const run::EpochRecord& record, double smallest);
/// Puts what was evaluated into an epoch's record.
void set_evaluation(run::EpochRecord& record, const Evaluation& evaluation);
/// "val loss 1.2345, mIoU 28.04, ...": of the `paper` protocol.
[[nodiscard]] std::string evaluation_text(const run::EpochRecord& record);
/// The line that the log has for an epoch. \param epochs  of the whole run
[[nodiscard]] std::string epoch_text(const run::EpochRecord& record, std::int64_t epochs);

}  // namespace xtasc::train
