#pragma once

#include <ATen/core/Tensor.h>

namespace xtasc::loss {

/// A loss before its division: add both over ranks, then divide. The mean of per-rank means would be biased, since
/// ranks hold different numbers of labelled pixels.
struct SummedLoss {
  at::Tensor sum;    ///< 0-D, in the prediction's dtype, differentiable
  at::Tensor count;  ///< 0-D int64
};

/// Sum of cross entropy over labelled pixels; count = labelled pixels.
///
/// \param logits_nchw  (N, C, H, W) float32 or float64
/// \param labels_nhw   (N, H, W) int64: class id, or any id >= C (255) for a pixel to leave out
/// Source: Nakano et al. 2021, eq. 12.
[[nodiscard]] SummedLoss cross_entropy(const at::Tensor& logits_nchw, const at::Tensor& labels_nhw);

/// Sum over images of the mean absolute depth error over an image's valid pixels; count = images with a valid pixel.
///
///     sum = sum_n [ sum_{p valid} |prediction - target| / #valid_n ],   valid: valid_n1hw != 0
///
/// An image without a valid pixel contributes nothing to either.
///
/// \param prediction_n1hw, target_n1hw  (N, 1, H, W) float32 or float64, in the pack's depth unit
/// \param valid_n1hw                    (N, 1, H, W) bool
/// Source: Nakano et al. 2021, eq. 14; the mean by image is the 2021 code's.
[[nodiscard]] SummedLoss l1_depth(const at::Tensor& prediction_n1hw, const at::Tensor& target_n1hw,
                                  const at::Tensor& valid_n1hw);

}  // namespace xtasc::loss
