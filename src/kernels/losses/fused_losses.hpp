#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/losses/fused_losses_element.hpp"

namespace xtasc::kernels {

/// What is held to what, as numbers, which an autograd node can keep.
struct FusedLayout {
  std::vector<std::int64_t> kind;  ///< by target: its TargetKind
  /// By term: its target, the PointError that it is measured by, and whether (1) it is held to the target's direct
  /// prediction instead of its truth.
  std::vector<std::int64_t> target, error, holds_to_direct;

  [[nodiscard]] std::size_t num_targets() const { return kind.size(); }
  [[nodiscard]] std::size_t num_terms() const { return target.size(); }
};

/// By term.
struct FusedSums {
  at::Tensor sums;    ///< (terms), of the predictions' type
  at::Tensor counts;  ///< (terms) int64: counted pixels; of numbers images with a counted value
};

/// All losses in one pass over all predictions, and their gradients in another; sums are in float64. Backward of any of
/// them computes all gradients. On the CPU and on CUDA, at most kMaxFusedTerms terms of kMaxFusedTargets targets.
///
/// \param predictions  one a term, (N, C, H, W) float32 or float64; the first ones are the targets' direct ones
/// \param truths       one a target: (N, H, W) int64 labels of classes, else (N, C, H, W), 0 = unknown
/// \param has_labels   (targets, N) uint8: 0 for an image without any label of the target's task, at all of whose
///                     pixels predictions are held to the direct one; undefined: every image has labels
[[nodiscard]] FusedSums fused_losses(at::TensorList predictions, at::TensorList truths, const at::Tensor& has_labels,
                                     const FusedLayout& layout);

}  // namespace xtasc::kernels
