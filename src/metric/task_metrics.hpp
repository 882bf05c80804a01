#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "task/task.hpp"

namespace xtasc::metric {

/// Metric name -> value; a metric for which nothing could be counted is absent. Names are those of the tasks' rows
/// (task::Task::metrics and further).
using Values = std::map<std::string, double>;

/// What was measured of a set.
struct Report {
  Values paper, dataset;                         ///< by protocol, SPEC section 5
  std::vector<std::optional<double>> class_iou;  ///< dataset protocol; absent for a class with an empty union
};

/// Both metric protocols of one task over a data set, batch by batch, without a host wait until report(). Everything is
/// added up in int64 and float64.
class TaskMetrics {
 public:
  virtual ~TaskMetrics() = default;
  TaskMetrics(const TaskMetrics&) = delete;
  TaskMetrics& operator=(const TaskMetrics&) = delete;

  /// One batch of the paper protocol. \param prediction  (N, channels, H, W), as the network says it
  /// \param truth  as data::Batch::targets has it
  /// \param num_labelled  0-D float64: how many of the images have labels of the task, which the batch counts by
  virtual void add(const at::Tensor& prediction, const at::Tensor& truth, const at::Tensor& num_labelled) = 0;
  /// What is summed over ranks, in place: float64 or int64, always the same tensors in the same order.
  [[nodiscard]] virtual std::vector<at::Tensor> sums() const = 0;
  [[nodiscard]] virtual Report report() const = 0;

 protected:
  TaskMetrics() = default;
};

/// What a task's metrics are made from.
struct TaskMetricsOptions {
  task::Task task;
  std::int64_t num_classes = 0;  ///< of the labels; not looked at by other kinds than classes
  at::Device device = at::kCPU;
};
using MakeTaskMetrics = std::unique_ptr<TaskMetrics> (*)(const TaskMetricsOptions& options);

/// paper:    mIoU and pixel accuracy of each image (classes with an empty union, and images without a labelled pixel,
///           left out), mean over images
/// dataset:  mIoU and pixel accuracy from one confusion matrix, and the IoU of each class
///
/// A pixel's prediction is its largest logit; the truth is (N, H, W) int64, 255 = ignored.
/// Names: miou, pix_acc (shares in 0..1).
[[nodiscard]] std::unique_ptr<TaskMetrics> make_class_metrics(const TaskMetricsOptions& options);

/// paper:    errors over the valid pixels of a batch, mean over batches weighted by their images (batches without a
///           valid pixel left out)
/// dataset:  errors over all valid pixels
///
/// A prediction enters ratios and logarithms as at least 1e-3 of the depth unit: a net may predict zero or less. The
/// truth is shaped as the prediction, 0 = invalid.
/// Names: abs_err, rmse (depth unit); rel_err, sq_rel, irmse, log_irmse; delta_1, delta_2, delta_3 (shares).
[[nodiscard]] std::unique_ptr<TaskMetrics> make_depth_metrics(const TaskMetricsOptions& options);

/// paper:    of the angles between prediction and truth at the valid pixels of a batch mean, median (the lower one of
/// two
///           middle values) and the shares below 11.25, 22.5 and 30 degrees; mean over batches weighted by their images
///           (batches without a valid pixel left out): a mean of medians, as MTAN, CAGrad, Nash-MTL and FAMO print it
/// dataset:  the same over all valid pixels; the median within 0.005 degrees, from a histogram that is summed over
/// ranks
///
/// A prediction is a vector of any length; of length 0 it is 90 degrees off. The truth is (N, 3, H, W), of length 1, 0
/// = invalid. Names: angle_mean, angle_median (degrees); within_11, within_22, within_30 (shares in 0..1).
[[nodiscard]] std::unique_ptr<TaskMetrics> make_normal_metrics(const TaskMetricsOptions& options);

/// (N, H, W) float64, degrees: between vectors of any length; 90 where either has none. \param a, b  (N, 3, H, W)
[[nodiscard]] at::Tensor angles_between(const at::Tensor& a, const at::Tensor& b);

/// What measures a task: the maker of its own, else that of its kind.
[[nodiscard]] std::unique_ptr<TaskMetrics> make_task_metrics(const TaskMetricsOptions& options);

/// A maker for the task of that key, whose metrics are not those of its kind.
void add_task_metrics(std::string_view task, MakeTaskMetrics make);

}  // namespace xtasc::metric
