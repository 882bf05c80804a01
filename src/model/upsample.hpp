#pragma once

#include <ATen/core/Tensor.h>

namespace xtasc::model {

/// Bilinear, corners aligned: (N, C, H, W) -> (N, C, 2H, 2W), channels-last, and differentiable. On CUDA by our own
/// kernels, whose gradient is a gather and has the same bits every time; on other devices as ATen does it.
[[nodiscard]] at::Tensor upsample_twice(const at::Tensor& x_nchw);

/// The same by upsample_element.hpp's functions on any device with memory: what CUDA runs, and on the CPU, slowly, what
/// the tests hold against ATen. float32, float64 or bfloat16.
[[nodiscard]] at::Tensor upsample_by_elements(const at::Tensor& x_nchw);

}  // namespace xtasc::model
