#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "dist/gradient_sync.hpp"
#include "loss/objective.hpp"
#include "model/network.hpp"
#include "optim/finite.hpp"
#include "train/phase.hpp"
#include "train/setup.hpp"
#include "train/task_gradients.hpp"

namespace xtasc::train {

/// The truth that these tasks' losses look at. \param storage  type of what is no class
[[nodiscard]] loss::Targets targets_of(const data::Batch& batch, const task::Tasks& tasks, at::ScalarType storage);

/// Where a rank's images stand in a training.
struct Place {
  std::int64_t first = 0;                 ///< of the first image in the global batch
  std::span<const std::int64_t> samples;  ///< the images', in the pack's split
  std::int64_t step = 0;                  ///< optimizer steps completed
};
/// Says so in the batch, and draws what the network's dropout needs, where it has some.
void give_place(data::Batch& batch, const config::RunConfig& config, const model::Network& net, const Place& place);

/// The terms of this rank's images as one float64 vector: a sum a term, then a count a term. What all ranks add up
/// before anything is divided. \param losses  of Objective::losses
[[nodiscard]] at::Tensor sums_and_counts(const std::vector<loss::SummedLoss>& losses);

/// (terms) float64: sum / count, 0 where nothing was counted. \param summed  of all ranks
[[nodiscard]] at::Tensor mean_losses(const at::Tensor& summed);

/// (tasks) float64: L_i from the terms' means, as loss::Objective says. \param means  (terms, or more) float64
[[nodiscard]] at::Tensor task_losses(const at::Tensor& means, const loss::Objective& objective);

/// Names of StepResult::losses: the terms', then "total".
[[nodiscard]] std::vector<std::string> loss_names(const loss::Objective& objective);

struct StepResult {
  model::Predictions predictions;  ///< of this rank's images, of the last piece's where there are several; detached
  at::Tensor losses;               ///< (terms + 1) float64, global: the terms' means, then the total as weighted
  at::Tensor is_counted;           ///< (terms) float64, global: 1 where anything was counted, else 0
  at::Tensor task_weights;         ///< (tasks) what the gradient of each task's loss entered shared parameters with
  at::Tensor gram_tt =
      {};  ///< (tasks, tasks) float64: products of the tasks' gradients; undefined where none are at hand
};

/// One optimizer step of a system, the same on every device; nothing in it waits for the device or looks at a value.
class Step {
 public:
  Step(const config::RunConfig& config, Learner& learner, dist::Communicator& communicator);

  /// Forward, losses of the global batch, backward, gradients summed over the ranks. Leaves the gradients in
  /// learner.net.parameters().flat_gradients(). Collective; the batch may be empty on some ranks.
  /// \param moment  for weighting methods that follow the run's course
  StepResult compute(const data::Batch& batch, const weighting::Moment& moment = {}) {
    return compute(std::span(&batch, 1), moment);
  }
  /// The same of a batch in pieces, of which one at a time is in memory (train.accumulate): the gradient of the whole,
  /// each loss over the counts of all pieces and ranks, but for batch norm, which sees one piece of all ranks at a
  /// time. \param pieces  at least one, as many on every rank
  StepResult compute(std::span<const data::Batch> pieces, const weighting::Moment& moment = {});
  /// The optimizer's move, then the weighting method's. Every rank has the same gradients; collective where the method
  /// wants the batch's losses after the move.
  void update(double learning_rate);
  /// The two halves of update(): what changes from step to step, and what does not.
  void set_learning_rate(double learning_rate);
  void update();

  /// What compute() saw of this rank's own losses and gradients, step after step, since the Step was made.
  [[nodiscard]] const optim::FiniteCheck& losses_check() const { return losses_check_; }
  [[nodiscard]] const optim::FiniteCheck& gradients_check() const { return gradients_check_; }

  /// Tells `observer` the parts of every step from now on; for measurements. An empty one tells nobody. \returns who
  /// was told before
  PhaseObserver observe(PhaseObserver observer);

  /// Names of StepResult::losses.
  [[nodiscard]] std::vector<std::string> loss_names() const { return train::loss_names(*learner_.objective); }

  /// Whether compute() and update() ask the same of the device at every step, given tensors at the same addresses.
  [[nodiscard]] bool is_the_same_each_time() const;

 private:
  /// One pass forward, in training.
  [[nodiscard]] model::Predictions forward(const data::Batch& batch);
  [[nodiscard]] StepResult compute_whole(const data::Batch& batch, const weighting::Moment& moment);
  [[nodiscard]] StepResult compute_pieces(std::span<const data::Batch> pieces, const weighting::Moment& moment);
  /// \param summed  of all ranks, see sums_and_counts() \param total  of what a method weighs
  [[nodiscard]] StepResult result_of(const model::Predictions& predictions, const at::Tensor& summed,
                                     const at::Tensor& means, const at::Tensor& task_weights,
                                     const at::Tensor& total) const;
  /// \param learns_from_teachers  whether they are asked about the batch
  [[nodiscard]] std::vector<loss::SummedLoss> losses_of(const model::Predictions& predictions, const data::Batch& batch,
                                                        bool learns_from_teachers) const;
  /// What is no part of the tasks' losses, as it enters the objective; undefined where all is.
  [[nodiscard]] at::Tensor unweighed(const at::Tensor& means) const;
  /// This rank's share of the objective: its sums over everybody's counts. The shares' gradients add up to the
  /// gradient. \param is_in  which terms are in it \returns  undefined where none is
  [[nodiscard]] at::Tensor share_of_objective(const std::vector<loss::SummedLoss>& losses, const at::Tensor& counts,
                                              const at::Tensor& weights_t,
                                              const std::function<bool(const loss::Term&)>& is_in) const;
  /// (tasks) global, of the batch of the last compute(), by the net as it is now.
  [[nodiscard]] at::Tensor losses_after_step() const;

  void enter(Phase phase) const {
    if (observer_) {
      observer_(phase);
    }
  }
  /// All weights as CUDA's convolutions read them; undefined where that is how they are.
  [[nodiscard]] at::Tensor flat_weights() const;
  [[nodiscard]] weighting::StepWeights weigh(const at::Tensor& losses_t, const weighting::Moment& moment);

  const config::RunConfig& config_;
  Learner& learner_;
  dist::Communicator& communicator_;
  double scale_;                                       ///< of the weighting method's factors
  optim::FiniteCheck losses_check_, gradients_check_;  ///< of this rank's images, before the ranks' are summed
  dist::GradientSync gradient_sync_;
  model::Mode mode_;
  std::optional<TaskGradients> task_gradients_;  ///< for methods that look at each task's gradient
  double learning_rate_ = 0.0;
  PhaseObserver observer_;
  std::optional<data::Batch> batch_;  ///< of the step under way, for methods that look at it twice
};

}  // namespace xtasc::train
