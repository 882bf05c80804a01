#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"

namespace xtasc::weighting {

/// Index of a task in the two-element tensors below.
enum Task : std::int64_t { kSegmentation = 0, kDepth = 1 };

/// The global losses of the two tasks (L_seg and L_depth of eq. 11), already summed over the ranks and divided: every
/// rank has the same bits, so every rank finds the same weights without another word.
///
/// What a method says about one step:
struct StepWeights {
  at::Tensor weights;  ///< (2), detached: the factors of the two losses in the backward pass
  at::Tensor total;    ///< 0-D, detached: the objective's value, the method's own terms included
};

/// A method that weighs the tasks of a step. Its own trainable values, if any, belong to the main optimizer.
class TaskWeighting {
 public:
  virtual ~TaskWeighting() = default;

  /// Weights for this step, and the gradients of the method's own parameters, stored in flat_gradients().
  /// They follow from global losses, so they are not summed over the ranks again. No host wait.
  /// \param global_losses_2  (2), detached, on the device
  [[nodiscard]] virtual StepWeights weigh(const at::Tensor& global_losses_2) = 0;

  /// The method's trainable values by name ("weighting.log_variance"), empty when it has none.
  [[nodiscard]] virtual std::vector<std::pair<std::string, at::Tensor>> state() const { return {}; }
  /// The same as flat 1-D tensors for the optimizer; undefined when it has none.
  [[nodiscard]] virtual at::Tensor flat_values() const { return {}; }
  [[nodiscard]] virtual at::Tensor flat_gradients() const { return {}; }
};

/// L = L_seg + L_depth.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_equal(const at::TensorOptions& options);

/// L = sum_t 0.5 exp(-s_t) L_t + s_t, with s_t trained from 0 by the main optimizer. The sum adds s_t where Kendall et
/// al. write s_t / 2: so does the 2021 code. Source: Kendall et al. 2018, https://arxiv.org/abs/1705.07115, section 3.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_uncertainty(const at::TensorOptions& options);

/// \param options  device and dtype of losses and state
[[nodiscard]] std::unique_ptr<TaskWeighting> make_task_weighting(const config::WeightingSection& section,
                                                                 const at::TensorOptions& options);

}  // namespace xtasc::weighting
