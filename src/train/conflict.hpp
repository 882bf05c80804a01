#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "task/task.hpp"

// How much the tasks' gradients agree, over the steps of an epoch.
namespace xtasc::train {

/// For each pair of tasks, (0, 1), (0, 2) ... (1, 2) ..., of one step: 1, the cosine of their gradients, the logarithm
/// of the ratio of their norms (first to second), and whether their product is negative; all 0 where one of the
/// gradients is 0, as of a task without labels in the batch. What steps add up over an epoch. \param gram_tt  (T, T)
/// float64 \returns (T (T - 1) / 2 * 4) float64
[[nodiscard]] at::Tensor conflict_counts(const at::Tensor& gram_tt);

/// Of how many numbers that is.
[[nodiscard]] std::size_t num_conflict_counts(std::size_t num_tasks);

/// "cosine": mean; "norm_ratio": geometric mean; "in_conflict": share of the steps; each by "seg,depth", the pair's
/// keys. Empty where no step counted. \param sums  of conflict_counts() over the steps
[[nodiscard]] std::map<std::string, std::map<std::string, double>> conflicts_of_epoch(const std::vector<double>& sums,
                                                                                      const task::Tasks& tasks);

}  // namespace xtasc::train
