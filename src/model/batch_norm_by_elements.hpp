#pragma once

#include <ATen/core/Tensor.h>

#include "model/batch_norm_kernels.hpp"

/// batch_norm_kernels.hpp's four passes by batch_norm_element.hpp's functions, on any device with memory: what CUDA
/// runs, and on the CPU, slowly, what its tests run: the same blocks and threads one after another, so the same order
/// of sums. Tensors of another layout are copied first. Nothing waits for the device.
namespace xtasc::model::by_elements {

[[nodiscard]] ChannelSums sums_of_x(const at::Tensor& x);

[[nodiscard]] at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift, bool relu);

[[nodiscard]] ChannelSums sums_of_gradient(const at::Tensor& grad_y, const at::Tensor& x, const at::Tensor& scale,
                                           const at::Tensor& shift, bool relu);

[[nodiscard]] at::Tensor gradient_of_x(const at::Tensor& grad_y, const at::Tensor& x, const at::Tensor& scale,
                                       const at::Tensor& shift, bool relu, const at::Tensor& a, const at::Tensor& b,
                                       const at::Tensor& c);

}  // namespace xtasc::model::by_elements
