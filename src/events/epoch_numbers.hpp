#pragma once

#include <string>
#include <vector>

#include "events/event_file.hpp"
#include "run/metrics_log.hpp"

namespace xtasc::events {

/// Every number of an epoch's line of metrics.jsonl but the epoch, by its tag:
///
///     train/loss, train/loss/TERM, train/learning_rate, train/step, train/images_per_second
///     val/loss, val/loss/TERM             what was evaluated; holdout/... with data.holdout
///     val/TASK/METRIC                     `paper` protocol: val/seg/mIoU; METRIC as the log writes it, else its key
///     val_dataset/TASK/METRIC             `dataset` protocol, and val_dataset/iou/NUMBER_CLASS
///     consistency/..., weight/TASK, gradients/MEASURE/PAIR, seconds/..., machine/GROUP/...
///
/// \param class_names  of the segmentation
[[nodiscard]] std::vector<Number> numbers_of(const run::EpochRecord& record,
                                             const std::vector<std::string>& class_names);

}  // namespace xtasc::events
