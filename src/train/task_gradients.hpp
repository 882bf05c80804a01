#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>
#include <vector>

#include "config/run_config.hpp"
#include "dist/communicator.hpp"
#include "dist/gradient_sync.hpp"
#include "train/setup.hpp"

namespace xtasc::train {

/// The backward pass for weighting methods that look at each task's gradient, from one forward pass.
///
/// The graph is cut at the encoder's five outputs. Each task's objective goes back to the cut, which frees that task's
/// graph and completes the gradients of its own parameters, and from there on into the encoder:
///
/// - Needs::gram: once for each task. The global gradients g_1, g_2 of the shared parameters (weighting.parameters =
///   "all": of all parameters) give the Gram matrix, the method gives a_1 and a_2, and the gradient becomes
///   a_1 g_1 + a_2 g_2. A task's own parameters keep their gradient unless "all". One backward pass through the encoder
///   and one vector of the encoder's size more than a plain step.
/// - Needs::norms: once for both. The norms at W, the second convolution of the last block of the encoder's stage 4,
/// take
///   a backward pass for each task from the cut down to W, which lies just in front of it.
class TaskGradients {
 public:
  /// \param sync  of the flat gradients
  TaskGradients(const config::RunConfig& config, Learner& learner, dist::Communicator& communicator,
                dist::GradientSync& sync, const dist::GradientSync::Inspect& inspect = {});

  /// The features for the decoders: the same values, whose gradients stop here.
  [[nodiscard]] model::Features cut(const model::Features& features);

  /// From zero gradients to global ones, in learner.net.parameters().flat_gradients(). Collective.
  /// \param objectives       this rank's share of each task's weighted loss, made from what cut() gave
  /// \param global_losses_2  for the method
  /// \returns (2) the factors of the tasks' gradients
  [[nodiscard]] at::Tensor backward(const std::array<at::Tensor, 2>& objectives, const at::Tensor& global_losses_2);

 private:
  using TaskFeatures = std::array<model::Features, 2>;

  at::Tensor combine(const TaskFeatures& at_cut, const at::Tensor& global_losses_2);
  void show_norms(const TaskFeatures& at_cut, const at::Tensor& global_losses_2);
  void into_encoder(const model::Features& gradients, bool retain_graph) const;

  Learner& learner_;
  dist::Communicator& communicator_;
  dist::GradientSync& sync_;
  model::Net::GradientParts parts_;
  bool combines_all_;      ///< also each task's own parameters
  at::Tensor seg_shared_;  ///< g_1 of the shared parameters, for Needs::gram
  std::optional<dist::GradientSync> seg_shared_sync_;
  at::Tensor layer_;                   ///< W
  model::Features features_, leaves_;  ///< of the step under way, on both sides of the cut
};

}  // namespace xtasc::train
