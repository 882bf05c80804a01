#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace xtasc::kernels {

/// Sums a small float64 tensor in place over all ranks.
using SumOverRanks = std::function<void(const at::Tensor&)>;

// Batch norm's passes over memory, and what is computed for each channel between them; x, y and gradients are
// (N, C, H, W), everything by channel is (C). On the CPU each pass is one loop over channels-last memory in any of the
// three dtypes. On CUDA a direction of training is three kernels (batch_norm_by_elements.hpp): a pass that sums by
// blocks, one small one that adds the blocks' sums up and computes all that follows for each channel, a pass that
// writes; with several ranks the small one is two, with the ranks' sum between them. On the meta device nothing is
// computed, and shapes are right.

/// Statistics of the global batch, and what forward and backward read of them.
struct NormStatistics {
  at::Tensor mean, inverse_deviation;  ///< float64
  at::Tensor scale, shift;             ///< float32, or float64 when x is: the norm is x * scale + shift
  double local_count = 0.0;            ///< of values a channel on this rank
  at::Tensor global_count = {};        ///< on all ranks, one float64; undefined in a world of one
};

/// A norm's own tensors.
struct NormTensors {
  at::Tensor weight, bias;                         ///< of the type of scale
  at::Tensor running_mean = {}, running_var = {};  ///< moved; undefined: left alone
  /// Of the convolution in front, where that has not added it to x: the running mean is that of their sum.
  at::Tensor bias_of_x = {};
};

/// Collective where sum_over_ranks is given. \param x  (N, C, H, W), N may be 0
[[nodiscard]] NormStatistics statistics_of(const at::Tensor& x, const NormTensors& norm,
                                           const SumOverRanks& sum_over_ranks);

/// y = x * scale + shift, and max(0, y) if relu. \param scale, shift  (C) float32, or float64 when x is
[[nodiscard]] at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift, bool relu);

/// What the sums of backward read: g = grad_y where y > 0 (everywhere without relu), y as in scale_shift.
struct NormOperands {
  at::Tensor grad_y, x, scale, shift;
};

/// Where this rank's share of the gradients of weight and bias is added.
struct NormGradients {
  at::Tensor weight, bias;
};

/// The gradient of x is g * a + x * b + c.
struct NormGradientFactors {
  at::Tensor a, b, c;  ///< of the type of scale
};

/// Collective where sum_over_ranks is given. \param gradients  of the type of scale; undefined: not asked for
[[nodiscard]] NormGradientFactors gradient_factors(const NormOperands& in, const NormStatistics& statistics,
                                                   const at::Tensor& weight, const NormGradients& gradients, bool relu,
                                                   const SumOverRanks& sum_over_ranks);

/// g * a + x * b + c, with g as above: the gradient of x.
[[nodiscard]] at::Tensor gradient_of_x(const NormOperands& in, bool relu, const NormGradientFactors& factors);

}  // namespace xtasc::kernels
