#pragma once

#include <ATen/core/Tensor.h>

namespace xtasc::kernels {

/// sigmoid(x) * attended, (N, C, H, W) both, of one type: float32, float64 or bfloat16. Differentiable; backward is one
/// pass over memory on the CPU. \param x  is overwritten: nobody else may need it \throws Error where the two disagree
[[nodiscard]] at::Tensor sigmoid_gate(const at::Tensor& x, const at::Tensor& attended);

/// What a decoder's block of AdaMT-Net makes of its two layers, (N, C, H, W) each:
///
///     [s | factors * first * s] * kept,  s = sigmoid(x)    (N, 2C, H, W), channels-last
///
/// one pass over memory forward behind the sigmoid and one backward on the CPU. Differentiable.
/// \param x  is overwritten: nobody else may need it
/// \param factors_chw  (1 or N, C, H, W) float32, or float64 where the maps are
/// \param kept_nc      (N, 2C) as the factors, not differentiated; undefined: all 1
/// \throws Error where they disagree
[[nodiscard]] at::Tensor join_with_factors(const at::Tensor& x, const at::Tensor& first, const at::Tensor& factors_chw,
                                           const at::Tensor& kept_nc);

}  // namespace xtasc::kernels
