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

/// Where a run stands; for methods that follow its course.
struct Moment {
  std::int64_t epoch = 0;  ///< epochs completed
  std::int64_t step = 0;   ///< optimizer steps completed, of all epochs
};

/// What a method asks of a step beside its losses.
enum class Needs {
  losses,             ///< nothing more: one backward pass
  gram,               ///< the dot products of the tasks' gradients: combine()
  norms,              ///< the norms of the tasks' gradients at one layer: see_norms()
  losses_after_step,  ///< the losses of the same batch after the net has moved: update()
};

/// What a method says about one step:
struct StepWeights {
  at::Tensor weights;  ///< (2), detached: the factors of the two losses in the backward pass
  at::Tensor total;    ///< 0-D, detached: the objective's value, the method's own terms included
};

/// Dot products of the tasks' global gradients, weights included; each 0-D float64.
struct Gram {
  at::Tensor seg_seg, seg_depth, depth_depth;
};

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// A method that weighs the tasks of a step.
///
/// All that it is given is global (losses L_seg and L_depth of eq. 11 and gradients, summed over the ranks and
/// divided), so every rank holds the same bits and finds the same weights without another word. Nothing in it waits for
/// the device: what it computes are tensor operations on numbers that stay there.
class TaskWeighting {
 public:
  virtual ~TaskWeighting() = default;

  [[nodiscard]] virtual Needs needs() const { return Needs::losses; }
  /// Whether weigh() and update() ask the same of the device at every step, whatever the Moment and the learning rate.
  [[nodiscard]] virtual bool is_the_same_each_step() const { return false; }

  /// Weights for this step, and the gradients of the method's own values where losses are all that they follow from.
  /// \param global_losses_2  (2), detached, on the device
  [[nodiscard]] virtual StepWeights weigh(const at::Tensor& global_losses_2, const Moment& moment) = 0;

  /// For Needs::gram: factors (2), float64, of the gradients in the one that the optimizer gets.
  [[nodiscard]] virtual at::Tensor combine(const Gram& gram, const at::Tensor& global_losses_2) const;

  /// For Needs::norms: the gradients of the method's own values. \param norms_2  (2) float64, of the weighted losses
  virtual void see_norms(const at::Tensor& /*norms_2*/, const at::Tensor& /*global_losses_2*/) {}

  /// The main optimizer has moved the net at this rate: values with an optimizer of their own move now.
  /// \param losses_after_2  (2) for Needs::losses_after_step, undefined for others
  virtual void update(double /*learning_rate*/, const at::Tensor& /*losses_after_2*/) {}

  /// \param epoch               the one that ended, from 0
  /// \param mean_losses_2  (2) float64, over all images of the epoch
  virtual void end_epoch(std::int64_t /*epoch*/, const at::Tensor& /*mean_losses_2*/) {}

  /// Largest norm of the net's gradient, to which longer ones are shortened; 0: any.
  [[nodiscard]] virtual double max_norm() const { return 0.0; }

  /// Values that are published with the net's weights; and all else that the next step depends on.
  [[nodiscard]] virtual NamedTensors weights() const { return {}; }
  [[nodiscard]] virtual NamedTensors state() const { return {}; }

  /// Values that the main optimizer moves and their gradients, which are not summed over the ranks again; flat 1-D,
  /// undefined when there are none.
  [[nodiscard]] virtual at::Tensor flat_values() const { return {}; }
  [[nodiscard]] virtual at::Tensor flat_gradients() const { return {}; }
};

/// \param seed     for methods that draw
/// \param options  device and dtype of losses and weights
[[nodiscard]] std::unique_ptr<TaskWeighting> make_task_weighting(const config::WeightingSection& section,
                                                                 std::uint64_t seed, const at::TensorOptions& options);

}  // namespace xtasc::weighting
