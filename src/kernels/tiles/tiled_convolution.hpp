#pragma once

#include "kernels/convolution.hpp"

/// Convolutions in bfloat16 on a processor that multiplies matrix tiles (AMX): sixteen times the products a cycle of
/// AVX512-BF16, so that saving products by Winograd's transforms costs more than it saves. What counts there is passes
/// over memory: oneDNN's product with bias and ReLU in it, and backward one pass behind the ReLU, with the sum for the
/// bias's gradient in it.
namespace xtasc::kernels {

/// Whether products in this type run on tiles. XTASC_AMX=0 in the environment says no.
[[nodiscard]] bool multiplies_tiles(at::ScalarType compute);

[[nodiscard]] bool suits_tiles(const Joined& x, const Convolution& convolution, at::ScalarType compute);

/// A convolution of x in bfloat16; differentiable. \param gradients_in_place  backward adds those of weight and bias
/// where they lie (see add_gradient()) \returns (N, out, H', W') bfloat16, channels-last
[[nodiscard]] at::Tensor convolve_by_tiles(const Joined& x, const Convolution& convolution, Activation activation,
                                           bool gradients_in_place);

namespace tiles {

/// Without autograd: bias, float32, and ReLU in the product. \param x, weight  bfloat16, channels-last
[[nodiscard]] at::Tensor product(const at::Tensor& x_nchw, const at::Tensor& weight, const Convolution& convolution,
                                 Activation activation);

/// The gradient in front of a ReLU, and of the bias before it.
struct BehindRelu {
  at::Tensor gradient;  ///< (N, C, H, W), 0 where y is
  at::Tensor of_bias;   ///< (C) float32
};
/// \param grad_y, y  (N, C, H, W) bfloat16, channels-last
[[nodiscard]] BehindRelu behind_relu(const at::Tensor& grad_y, const at::Tensor& y);

}  // namespace tiles

}  // namespace xtasc::kernels
