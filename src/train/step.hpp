#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "dist/gradient_sync.hpp"
#include "loss/consistency.hpp"
#include "model/net.hpp"
#include "optim/finite.hpp"
#include "train/phase.hpp"
#include "train/setup.hpp"
#include "train/task_gradients.hpp"

namespace xtasc::train {

/// Index of a loss in the vectors below.
enum LossIndex : std::int64_t { kSeg, kDepth, kSegToDepth, kDepthToSeg, kTotal, kNumLosses };
/// "seg", "depth", "seg_to_depth", "depth_to_seg", "total".
[[nodiscard]] const char* loss_name(std::int64_t index);

/// The plain losses of this rank's images as one float64 vector: four sums, then four counts, zero where there is no
/// loss. What all ranks add up before anything is divided.
[[nodiscard]] at::Tensor sums_and_counts(const loss::TaskLosses& losses, at::Device device);

/// (4) float64: sum / count, 0 where nothing was counted. \param summed_8  of all ranks
[[nodiscard]] at::Tensor mean_losses(const at::Tensor& summed_8);

/// (2) float64: L_seg and L_depth of eq. 11 from the four mean losses.
///
///     L_seg   = (1 - lambda_1) l_seg   + lambda_1 l_{seg->depth}
///     L_depth = (1 - lambda_2) l_depth + lambda_2 l_{depth->seg}
[[nodiscard]] at::Tensor objectives(const at::Tensor& mean_losses_4, const config::LossSection& loss);

struct StepResult {
  model::Predictions predictions;  ///< of this rank's images, detached
  at::Tensor losses;               ///< (kNumLosses) float64, global; total as weighted
  at::Tensor task_weights;         ///< (2) what the gradient of each task's loss entered the shared parameters with
};

/// One optimizer step of a system, the same on every device; nothing in it waits for the device or looks at a value.
class Step {
 public:
  Step(const config::RunConfig& config, Learner& learner, dist::Communicator& communicator);

  /// Forward, losses of the global batch, backward, gradients summed over the ranks. Leaves the gradients in
  /// learner.net.parameters().flat_gradients(). Collective; the batch may be empty on some ranks.
  /// \param moment  for weighting methods that follow the run's course
  StepResult compute(const data::Batch& batch, const weighting::Moment& moment = {});
  /// The optimizer's move, then the weighting method's. Every rank has the same gradients; collective where the method
  /// wants the batch's losses after the move.
  void update(double learning_rate);
  /// The two halves of update(): what changes from step to step, and what does not.
  void set_learning_rate(double learning_rate);
  void update();

  /// What compute() saw of this rank's own losses and gradients, step after step, since the Step was made.
  [[nodiscard]] const optim::FiniteCheck& losses_check() const { return losses_check_; }
  [[nodiscard]] const optim::FiniteCheck& gradients_check() const { return gradients_check_; }

  /// Tells `observer` the parts of every step from now on; for measurements. An empty one tells nobody.
  void observe(PhaseObserver observer) { observer_ = std::move(observer); }

  /// Whether compute() and update() ask the same of the device at every step, given tensors at the same addresses.
  [[nodiscard]] bool is_the_same_each_time() const;

 private:
  [[nodiscard]] loss::TaskLosses losses_of(const model::Predictions& predictions, const data::Batch& batch) const;
  /// This rank's share of the objective: its sums over everybody's counts. The shares' gradients add up to the
  /// gradient. \param only  the terms of one task; all when absent
  [[nodiscard]] at::Tensor share_of_objective(const loss::TaskLosses& losses, const at::Tensor& counts_4,
                                              const at::Tensor& weights_2, std::optional<weighting::Task> only) const;
  /// (2) global, of the batch of the last compute(), by the net as it is now.
  [[nodiscard]] at::Tensor losses_after_step() const;

  void enter(Phase phase) const {
    if (observer_) {
      observer_(phase);
    }
  }
  [[nodiscard]] model::Predictions predict(const at::Tensor& image_n3hw);
  /// All weights as CUDA's convolutions read them; undefined where that is how they are.
  [[nodiscard]] at::Tensor flat_weights() const;
  [[nodiscard]] weighting::StepWeights weigh(const at::Tensor& global_losses_2, const weighting::Moment& moment);

  const config::RunConfig& config_;
  Learner& learner_;
  dist::Communicator& communicator_;
  optim::FiniteCheck losses_check_, gradients_check_;  ///< of this rank's images, before the ranks' are summed
  dist::GradientSync gradient_sync_;
  model::Mode mode_;
  std::optional<TaskGradients> task_gradients_;  ///< for methods that look at each task's gradient
  double learning_rate_ = 0.0;
  PhaseObserver observer_;
  std::optional<data::Batch> batch_;  ///< of the step under way, for methods that look at it twice
};

}  // namespace xtasc::train
