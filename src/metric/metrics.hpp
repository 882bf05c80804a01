#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "metric/task_metrics.hpp"
#include "task/task.hpp"

namespace xtasc::metric {

/// Tensors by the task's key.
using ByTask = std::map<std::string, at::Tensor, std::less<>>;

/// The metrics of some tasks over a data set, batch by batch, without a host wait until report().
class Metrics {
 public:
  /// \param num_classes  of the labels; not looked at without a task of classes
  Metrics(const task::Tasks& tasks, std::int64_t num_classes, at::Device device);

  /// Adds one batch of the paper protocol; of other tasks nothing is looked at.
  /// \throws Error when a task lacks its prediction or its truth
  void add(const ByTask& predictions, const ByTask& truth);

  /// Adds up over ranks. \param sum  sums a float64 or int64 tensor in place. Collective.
  void sum_over_ranks(const std::function<void(const at::Tensor&)>& sum) const;

  /// Of all tasks. \throws Error when two of them measure something by the same name
  [[nodiscard]] Report report() const;

 private:
  task::Tasks tasks_;
  std::vector<std::unique_ptr<TaskMetrics>> of_tasks_;  ///< one a task, in their order
};

}  // namespace xtasc::metric
