#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/batch_norm/batch_norm_passes.hpp"
#include "kernels/convolution.hpp"

namespace xtasc::kernels {

/// The tensors of a batch norm.
struct BatchNorm {
  at::Tensor weight, bias, running_mean, running_var;  ///< (channels)
};

/// What stands around a norm.
struct NormSurroundings {
  Activation activation = Activation::none;
  at::Tensor left_out = {};  ///< the bias that the convolution in front has not added, or undefined
  at::Tensor residual = {};  ///< added before the activation, a ReLU; or undefined
};

/// How a norm is computed.
struct NormOptions {
  SumOverRanks sum_over_ranks = {};      ///< empty for a world of one
  bool moves_running_statistics = true;  ///< by momentum 0.1, the variance unbiased
  bool gradients_in_place = false;       ///< backward adds those of weight and bias where they lie
};

/// Batch norm by the statistics of the global batch, with what stands around it, as one operation with one backward:
/// each rank adds its count, sum and sum of squares in float64 before anything is divided, and backward does the same
/// with its two sums. A rank without an image takes part with zeros.
///
/// \param x_nchw  (N, C, H, W), channels-last, N may be 0; bfloat16, float32 or float64
/// \returns       the same shape and dtype, channels-last
/// Collective where sum_over_ranks is given, forward and backward.
/// \throws Error  in a world of one when the batch has a single value a channel: its variance says nothing
[[nodiscard]] at::Tensor train_batch_norm(const at::Tensor& x_nchw, const BatchNorm& norm,
                                          const NormSurroundings& around, const NormOptions& options);

}  // namespace xtasc::kernels
