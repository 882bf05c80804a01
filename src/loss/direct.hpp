#pragma once

#include <ATen/core/Tensor.h>

#include "config/enums.hpp"

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

/// Sum over images of the mean over an image's counted pixels; count = images that have one.
///
///     sum = sum_n [ sum_{p counted} values_np / #counted_n ]
///
/// \param values_n1hw   (N, 1, H, W), zero where not counted
/// \param counted_n1hw  (N, 1, H, W) bool
[[nodiscard]] SummedLoss mean_by_image(const at::Tensor& values_n1hw, const at::Tensor& counted_n1hw);

/// Sum over images of the mean depth error over an image's valid pixels; count = images with a valid pixel. An image
/// without one contributes nothing to either.
///
///     d = prediction - target;   L1: |d|   MSE: d^2   logL1: log(1 + |d|)
///     smoothL1 (beta 1): d^2 / 2 where |d| < 1, else |d| - 1/2
///
/// \param prediction_n1hw, target_n1hw  (N, 1, H, W) float32 or float64, in the pack's depth unit
/// \param valid_n1hw                    (N, 1, H, W) bool
/// Source: Nakano et al. 2021, eq. 14; the other three kinds and the mean by image are the 2021 code's, which gives NaN
/// for an image without a valid pixel, and for NYUv2 passes no mask, so that zeros count as targets.
[[nodiscard]] SummedLoss depth_loss(config::DepthLoss kind, const at::Tensor& prediction_n1hw,
                                    const at::Tensor& target_n1hw, const at::Tensor& valid_n1hw);

/// Sum over the valid pixels of 1 - cos of the angle between prediction and target; count = valid pixels.
///
/// \param prediction_nchw       (N, C, H, W) float32 or float64, vectors of any length
/// \param unit_target_nchw      (N, C, H, W), of length 1
/// \param valid_nhw             (N, H, W) bool
/// Source: the dot product of Liu et al. 2019 (arXiv:1803.10704, im2im_pred/utils.py), as a loss that is 0 at best.
[[nodiscard]] SummedLoss cosine_loss(const at::Tensor& prediction_nchw, const at::Tensor& unit_target_nchw,
                                     const at::Tensor& valid_nhw);

}  // namespace xtasc::loss
