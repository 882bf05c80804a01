#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/methods.hpp"
#include "config/run_config.hpp"

namespace xtasc::weighting {

using config::Needs;

/// What a method's factors are multiplied by, as made for the scale of its row: 1, T, or 1 / T.
[[nodiscard]] double factor_of_scale(const config::WeightingSection& section, std::size_t num_tasks);

/// Where a run stands; for methods that follow its course.
struct Moment {
  std::int64_t epoch = 0;  ///< epochs completed
  std::int64_t step = 0;   ///< optimizer steps completed, of all epochs
};

/// What a method says about one step:
struct StepWeights {
  at::Tensor weights;  ///< (T), detached: the factors of the tasks' losses in the backward pass
  at::Tensor total;    ///< 0-D, detached: the objective's value, the method's own terms included
};

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// A run of the net's values, and what each task's gradient of it is.
struct GradientPiece {
  std::int64_t first = 0;           ///< of the run among all values of the net
  std::vector<at::Tensor> of_task;  ///< (T) of 1-D, global
};

/// A method that weighs the T tasks of a step.
///
/// All that it is given is global (losses L_t of eq. 11 and gradients, summed over the ranks and divided), so every
/// rank holds the same bits and finds the same weights without another word. Nothing in it waits for the device: what
/// it computes are tensor operations on numbers that stay there.
class TaskWeighting {
 public:
  virtual ~TaskWeighting() = default;

  [[nodiscard]] virtual Needs needs() const { return Needs::losses; }
  /// Whether weigh() and update() ask the same of the device at every step, whatever the Moment and the learning rate.
  [[nodiscard]] virtual bool is_the_same_each_step() const { return false; }

  /// Weights for this step, and the gradients of the method's own values where losses are all that they follow from.
  /// \param losses_t  (T), detached, on the device
  [[nodiscard]] virtual StepWeights weigh(const at::Tensor& losses_t, const Moment& moment) = 0;

  /// For Needs::vectors, before combine(): the tasks' gradients themselves, weights included, which the method may
  /// change where they lie.
  virtual void see_gradients(const std::vector<GradientPiece>& /*pieces*/, const at::Tensor& /*losses_t*/,
                             const Moment& /*moment*/) {}

  /// For Needs::gram and Needs::vectors: factors (T), float64, of the gradients in the one that the optimizer gets.
  /// \param gram_tt  (T, T) float64: dot products of the tasks' global gradients, weights included
  [[nodiscard]] virtual at::Tensor combine(const at::Tensor& gram_tt, const at::Tensor& losses_t, const Moment& moment);

  /// For Needs::norms: the gradients of the method's own values. \param norms_t  (T) float64, of the weighted losses
  virtual void see_norms(const at::Tensor& /*norms_t*/, const at::Tensor& /*losses_t*/) {}

  /// For Needs::own_magnitudes: factors (T), float64, of the tasks' losses. \param magnitudes_t  (T) float64: the mean
  /// absolute global gradient of each task's loss at the first layer of its own
  [[nodiscard]] virtual at::Tensor weigh_by_magnitudes(const at::Tensor& magnitudes_t) const;

  /// The main optimizer has moved the net at this rate: values with an optimizer of their own move now.
  /// \param losses_after_t  (T) for Needs::losses_after_step, undefined for others
  virtual void update(double /*learning_rate*/, const at::Tensor& /*losses_after_t*/) {}

  /// \param epoch          the one that ended, from 0
  /// \param mean_losses_t  (T) float64, over all images of the epoch
  virtual void end_epoch(std::int64_t /*epoch*/, const at::Tensor& /*mean_losses_t*/) {}

  /// Largest norm to which a longer gradient is shortened: the net's, of methods that combine gradients the combined
  /// one's; 0: any.
  [[nodiscard]] virtual double max_norm() const { return 0.0; }
  /// A task's mean weight over an epoch below which the task does not learn; 0: none is that small.
  [[nodiscard]] virtual double smallest_weight() const { return 0.0; }

  /// Values that are published with the net's weights; and all else that the next step depends on.
  [[nodiscard]] virtual NamedTensors weights() const { return {}; }
  [[nodiscard]] virtual NamedTensors state() const { return {}; }

  /// Values that the main optimizer moves and their gradients, which are not summed over the ranks again; flat 1-D,
  /// undefined when there are none.
  [[nodiscard]] virtual at::Tensor flat_values() const { return {}; }
  [[nodiscard]] virtual at::Tensor flat_gradients() const { return {}; }
};

/// What every method is made from.
struct MethodOptions {
  config::WeightingSection section;
  std::int64_t num_tasks = 2;      ///< T
  std::int64_t num_values = 0;     ///< of the net: for Needs::vectors
  std::uint64_t seed = 1;          ///< for methods that draw
  at::TensorOptions tensors = {};  ///< device and dtype of losses and weights
};

using MakeMethod = std::unique_ptr<TaskWeighting> (*)(const MethodOptions& options);

/// The method of options.section. \throws Error when nothing makes it
[[nodiscard]] std::unique_ptr<TaskWeighting> make_task_weighting(const MethodOptions& options);

/// One maker more, for a method that lives outside of this source tree.
void add_method(std::string_view word, MakeMethod make);

}  // namespace xtasc::weighting
