#pragma once

#include <ATen/core/Tensor.h>

#include "model/layers.hpp"

namespace xtasc::model {

/// Batch norm over the global batch, and the ReLU behind it, as one operation with one backward.
///
///     y = max(0, (x - mean) / sqrt(var + 1e-5) * weight + bias)
///
/// In training mean and (biased) variance are those of all ranks' images together: each rank adds its count, sum and
/// sum of squares in float64 before anything is divided, and backward does the same with its two sums. A rank without
/// an image takes part with zeros. The running statistics move by momentum 0.1, the variance unbiased.
///
/// \param x_nchw  (N, C, H, W), N may be 0; bfloat16, float32 or float64
/// \returns       the same shape and dtype, channels-last
/// Collective in training, forward and backward, unless mode.sum_over_ranks is empty.
/// A norm that was folded away is x_nchw itself: the convolution in front of it has done all (see before_norm()).
/// \throws Error  in training when the global batch has a single value a channel: its variance says nothing; or when
/// the
///                norm was folded away.
/// \param left_out  the bias of the convolution in front, where unbiased() left it out
[[nodiscard]] at::Tensor batch_norm(const at::Tensor& x_nchw, const BatchNorm& norm, const Mode& mode,
                                    Activation activation, const at::Tensor& left_out = {});

/// max(0, batch_norm(x) + residual), the end of a residual block. On CUDA in training it is the norm's own pass that
/// adds the residual and takes the ReLU. \param residual  as x
[[nodiscard]] at::Tensor batch_norm_and_add(const at::Tensor& x_nchw, const BatchNorm& norm, const Mode& mode,
                                            const at::Tensor& residual);

/// The convolution in front of a norm, and its bias, where that is better left out: in training on CUDA, where it would
/// be a pass of its own. The norm takes it away again, so only the running mean sees it, and its gradient is zero.
struct Unbiased {
  Convolution convolution;
  at::Tensor left_out;
};
[[nodiscard]] Unbiased unbiased(const Convolution& convolution, const BatchNorm& norm, const Mode& mode);

/// Makes one convolution of a convolution and the batch norm by running statistics behind it, which is left empty:
///
///     w' = w * weight / sqrt(running_var + 1e-5),  b' = (b - running_mean) * weight / sqrt(running_var + 1e-5) + bias
///
/// computed in float64 and kept in the weight's type. The tensors that were there before stay as they are.
void fold(Convolution& convolution, BatchNorm& norm);

/// What the convolution in front of a norm is to apply: `activation` where the norm was folded into it, else none.
[[nodiscard]] Activation before_norm(const BatchNorm& norm, Activation activation);

}  // namespace xtasc::model
