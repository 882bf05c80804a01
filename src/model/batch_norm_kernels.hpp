#pragma once

#include <ATen/core/Tensor.h>

namespace xtasc::model {

// The four passes over memory that batch norm makes; x, y and gradients are (N, C, H, W), everything by channel is (C).
// On the CPU each is one loop over channels-last memory in any of the three dtypes, on CUDA one kernel, two for sums
// (batch_norm_by_elements.hpp); on the meta device the same sums are written in tensor operations.

/// sum_x and sum_xx, each (C) float64.
struct ChannelSums {
  at::Tensor sum, dot;
};
[[nodiscard]] ChannelSums sums_of_x(const at::Tensor& x);

/// y = x * scale + shift, and max(0, y) if relu. \param scale, shift  (C) float32, or float64 when x is
[[nodiscard]] at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift, bool relu);

/// With g = grad_y where y > 0 (everywhere without relu), y as in scale_shift: sum g and sum g * x, each (C) float64.
[[nodiscard]] ChannelSums sums_of_gradient(const at::Tensor& grad_y, const at::Tensor& x, const at::Tensor& scale,
                                           const at::Tensor& shift, bool relu);

/// g * a + x * b + c, with g as above: the gradient of x.
[[nodiscard]] at::Tensor gradient_of_x(const at::Tensor& grad_y, const at::Tensor& x, const at::Tensor& scale,
                                       const at::Tensor& shift, bool relu, const at::Tensor& a, const at::Tensor& b,
                                       const at::Tensor& c);

}  // namespace xtasc::model
