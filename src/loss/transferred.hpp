#pragma once

#include <ATen/core/Tensor.h>

#include "config/enums.hpp"
#include "loss/direct.hpp"

namespace xtasc::loss {

/// Structural dissimilarity of two depth maps, by 3 x 3 windows (uniform, stride 1, no padding) whose nine pixels are
/// all valid: sum over images of the mean over an image's windows; count = images with such a window.
///
///     SSIM = (2 mu_p mu_t + C1)(2 cov_pt + C2) / ((mu_p^2 + mu_t^2 + C1)(var_p + var_t + C2))
///     loss = clamp((1 - SSIM) / 2, 0, 1),   C1 = 0.01^2, C2 = 0.03^2
///
/// \param prediction_n1hw, target_n1hw  (N, 1, H, W) float32 or float64; the target takes no gradient
/// \param valid_n1hw                    (N, 1, H, W) bool
/// Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861, in the 2021 code's form; that sets invalid pixels to 0, takes
/// all windows and divides by the number of valid pixels: ours times (H-2)(W-2)/HW where all pixels are valid.
[[nodiscard]] SummedLoss ssim_depth(const at::Tensor& prediction_n1hw, const at::Tensor& target_n1hw,
                                    const at::Tensor& valid_n1hw);

/// What a transferred segmentation is held to, of the direct one.
struct TargetOptions {
  bool soft = false;       ///< the softmax as it is, instead of its arg-max
  double smoothing = 0.0;  ///< s in [0, 1)
};

/// The distribution that a transferred segmentation is held to, from the direct one; detached.
///
///     q = softmax(seg) if soft, else one-hot(arg-max seg);   target = (1 - s) q + s/(C-1) (1 - q)
///
/// For a one-hot q that is 1 - s on the target and s/(C-1) on each other class; for a soft q its expectation over the
/// classes that q draws.
///
/// \param seg_nchw  (N, C, H, W) logits, C >= 2
/// \returns (N, C, H, W), sums to 1 over C
/// Source: Nakano et al. 2021, eq. 13 (soft); the 2021 code (arg-max; smoothing s/(C-1) in its cross entropy, s/(C-2)
/// in its KL divergence).
[[nodiscard]] at::Tensor target_distribution(const at::Tensor& seg_nchw, const TargetOptions& options);

/// Sum over labelled pixels of a divergence between target and prediction; count = labelled pixels.
///
///     cross: -sum_c target_c log softmax(logits)_c
///     kl:     sum_c target_c (log target_c - log softmax(logits)_c),   0 log 0 = 0
///
/// The two have the same gradient; kl is 0 where prediction and target agree.
///
/// \param logits_nchw   (N, C, H, W) float32 or float64
/// \param target_nchw   (N, C, H, W), the same type, without gradient
/// \param labelled_nhw  (N, H, W) bool
/// Source: Nakano et al. 2021, eq. 13. The 2021 code's cross sets unlabelled pixels to 0 and divides by all pixels; its
/// kl views N x C x H x W as N x HW x C without a permute, which mixes pixels and classes, and divides by N.
[[nodiscard]] SummedLoss distribution_loss(config::TransferredSegmentationLoss kind, const at::Tensor& logits_nchw,
                                           const at::Tensor& target_nchw, const at::Tensor& labelled_nhw);

}  // namespace xtasc::loss
