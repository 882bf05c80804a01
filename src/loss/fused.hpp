#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/losses/fused_losses_element.hpp"
#include "loss/objective.hpp"

namespace xtasc::loss {

/// The losses of a list of predictions as one pass sees them.
struct FusedTerms {
  struct Term {
    std::size_t target;  ///< index of the task that it is a prediction of
    kernels::PointError error;
    bool holds_to_direct;  ///< to that task's direct prediction, or to its truth
  };
  bool are_plain = true;  ///< none needs more than a pixel and its hard target
  task::Tasks tasks;
  std::vector<Term> terms;  ///< the tasks' direct predictions, then the transferred ones
};
[[nodiscard]] FusedTerms fused_terms(const task::Tasks& tasks, config::Consistency consistency,
                                     const config::LossSection& options, const model::Predictions& predictions);

/// Can fused_losses() take these? On the CPU and on CUDA; not ssim, kl, soft or smoothed targets, nor more than
/// kernels::kMaxFusedTerms terms.
[[nodiscard]] bool suits_fused(const FusedTerms& fused, const model::Predictions& predictions);

/// All losses in one pass over all predictions, and their gradients in another: equal to the plain ones but for
/// rounding (sums are in float64). Backward of any of them computes all gradients: not for who goes back for each task
/// alone. \throws Error unless suits_fused()
[[nodiscard]] std::vector<SummedLoss> fused_losses(const FusedTerms& fused, const model::Predictions& predictions,
                                                   const Targets& targets);

}  // namespace xtasc::loss
