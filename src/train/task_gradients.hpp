#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <vector>

#include "config/run_config.hpp"
#include "dist/communicator.hpp"
#include "dist/gradient_sync.hpp"
#include "train/reach.hpp"
#include "train/setup.hpp"

namespace xtasc::train {

/// The backward pass for weighting methods that look at each task's gradient, from one forward pass, for any network.
///
/// - Needs::gram, Needs::vectors: a backward pass for each task. The global gradients g_t of the parameters that all
///   tasks reach (weighting.parameters = "all": that more than one reaches) are kept apart. They give the Gram matrix,
///   of which each task's own parameters are part with "all", the method gives a_t, and the gradient becomes sum_t a_t
///   g_t, no longer than the method's max_norm. All other parameters keep the sum of their tasks' gradients unless
///   "all", or with weighting.heads = "weighted" the sum of a_t times these. Where no parameter is reached by all
///   tasks, "all" is what is left, and the log says so.
/// - Needs::own_magnitudes: one backward pass, for all; each task's loss gets a factor by its gradient at the first
/// layer
///   of its own (Network::first_own_layer), which without a cut is asked for before it.
/// - Needs::norms: one backward pass for all, and the gradient of each task at one layer (Network::last_shared_layer)
///   before it.
///
/// Where the network has a cut, each task's objective goes back to the cut first, which frees that task's graph and
/// completes the gradients of its own parameters, and from there on into what is shared: the branches are walked once.
class TaskGradients {
 public:
  /// \param sync     of the flat gradients
  /// \param inspect  sees each task's gradients before they are summed over the ranks
  TaskGradients(const config::RunConfig& config, Learner& learner, dist::Communicator& communicator,
                dist::GradientSync& sync, const dist::GradientSync::Inspect& inspect = {});

  /// For model::Mode::at_cut: the same values go on, whose gradients stop here.
  void cut(std::span<at::Tensor> outputs);

  /// From zero gradients to global ones, in learner.net.parameters().flat_gradients(). Collective.
  /// \param objectives  this rank's share of each task's weighted loss, of one forward pass \param rest  of what is
  /// added to them and looked at by no method; undefined: nothing \param losses_t  for the method
  struct Found {
    at::Tensor factors_t;  ///< what the tasks' gradients of shared parameters were multiplied by
    at::Tensor gram_tt;    ///< float64: their products, before the method changed them; undefined where none were made
  };
  [[nodiscard]] Found backward(const std::vector<at::Tensor>& objectives, const at::Tensor& rest,
                               const at::Tensor& losses_t, const weighting::Moment& moment);

 private:
  using Tensors = std::vector<at::Tensor>;

  /// Which gradients are kept apart, once the first graph is there; of every graph where steps draw transfers.
  void prepare(const Tensors& objectives);
  void back_to_cut(const Tensors& objectives);
  /// One task's gradients of everything that is not behind the cut. \param again  whether another task follows
  void backward_of(std::size_t task, const Tensors& objectives, bool again) const;
  Found combine(const Tensors& objectives, const at::Tensor& losses_t, const weighting::Moment& moment);
  /// Lets the method see the gradients that it compares, and change them.
  void show_gradients(const at::Tensor& losses_t, const weighting::Moment& moment) const;
  void show_norms(const Tensors& objectives, const at::Tensor& losses_t);
  at::Tensor weigh_by_magnitudes(const Tensors& objectives);
  /// Backward of the sum of the tasks' objectives, each times its factor.
  void backward_of_sum(const Tensors& objectives, const at::Tensor& factors_t);
  [[nodiscard]] at::Tensor gram() const;
  /// \returns the factors of what is compared: `factors_t`, made smaller where max_norm asks for it
  at::Tensor mix(const at::Tensor& factors_t);
  /// Of one task, what is kept apart: the last task's lies in the flat gradients.
  [[nodiscard]] const Tensors& apart_of(std::size_t task) const {
    return task + 1 < num_tasks_ ? others_[task] : apart_;
  }

  const config::RunConfig& config_;
  Learner& learner_;
  dist::Communicator& communicator_;
  dist::GradientSync& sync_;
  dist::GradientSync::Inspect inspect_;
  std::size_t num_tasks_;
  double scale_;  ///< of the method's factors
  bool is_prepared_ = false;
  bool combines_own_ = false;    ///< whether what is a task's own counts among what is compared
  Tensors apart_;                ///< gradients that are combined: views of the flat ones, at last the last task's
  std::vector<bool> compared_;   ///< of these, which the method sees; the others only get its factors
  std::vector<Tensors> others_;  ///< theirs of all tasks but the last
  std::vector<Tensors> own_;     ///< by task: gradients that it alone reaches and that are scaled by its factor
  std::vector<std::unique_ptr<dist::GradientSync>> others_sync_;
  at::Tensor layer_;             ///< for Needs::norms
  Tensors own_layers_;           ///< for Needs::own_magnitudes, one a task
  at::Tensor rest_;              ///< of the step under way
  Cut cut_;                      ///< of the step under way; empty without one
  std::vector<Tensors> at_cut_;  ///< by task: the gradients of the leaves
};

}  // namespace xtasc::train
