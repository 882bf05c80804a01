#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "metric/metrics.hpp"

namespace xtasc::analysis {

/// What a consistency energy looks at: a batch's direct and transferred predictions, and where its truth is known.
struct ConsistencyBatch {
  at::Tensor seg_nchw, depth_to_seg_nchw;    ///< (N, C, H, W) logits, direct and from the depth
  at::Tensor depth_n1hw, seg_to_depth_n1hw;  ///< (N, 1, H, W), direct and from the segmentation
  at::Tensor labels_nhw;                     ///< (N, H, W) int64, 255 = ignored
  at::Tensor target_n1hw;                    ///< (N, 1, H, W) true depth, 0 = invalid
};

/// Consistency energy: how far the transferred predictions are from the direct ones, batch by batch, without a host
/// wait until report().
///
///     seg          mean over labelled pixels of KL(softmax(seg) || softmax(depth_to_seg)), nats
///     depth        mean over pixels with valid depth of |depth - seg_to_depth|, in the pack's depth unit
///     energy_2021  0.5 * [KL terms averaged over classes too] + 0.5 * |depth - seg_to_depth|, means over all pixels:
///                  the 2021 code's number to the letter. It asks for no labels, but depends on C and on the depth
///                  unit.
///
/// All three are pooled over the set, so they depend neither on batches nor on ranks. Added up in float64.
///
/// Source: the idea is Zamir et al. 2020, arXiv:2006.04096; the formula is that of the 2021 code, whose KL
/// and L1 take no masks.
class ConsistencyEnergy {
 public:
  explicit ConsistencyEnergy(at::Device device);

  void add(const ConsistencyBatch& batch);

  /// Adds up over ranks. \param sum  sums a float64 tensor in place. Collective.
  void sum_over_ranks(const std::function<void(const at::Tensor&)>& sum);

  /// seg, depth, energy_2021; absent where nothing could be counted.
  [[nodiscard]] metric::Values report() const;

 private:
  at::Tensor sums_;  ///< (6) float64: sum and count of each of the three, the third's in pixels
};

}  // namespace xtasc::analysis
