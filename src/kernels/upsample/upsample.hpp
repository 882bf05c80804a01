#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace xtasc::kernels {

/// Bilinear, corners aligned: (N, C, H, W) -> (N, C, 2H, 2W), channels-last, and differentiable. On CUDA by our own
/// kernels, whose gradient is a gather and has the same bits every time; on the CPU as ATen does it.
[[nodiscard]] at::Tensor upsample_twice(const at::Tensor& x_nchw);

/// The same by upsample_element.hpp's functions on any device with memory: what CUDA runs, and on the CPU, slowly, what
/// the tests hold against ATen. float32, float64 or bfloat16.
[[nodiscard]] at::Tensor upsample_by_elements(const at::Tensor& x_nchw);

/// The upsampled `low` with `beside` behind its channels, as at::cat would join them, in one buffer that the kernels
/// write and whose gradient they read: no copy of the upsampled part, forward or backward. Same bits as
/// upsample_by_elements() and at::cat. By elements, on any device.
/// \param beside_nchw  (N, D, H, W), upsampled too; or (N, D, 2H, 2W), as it is. Of low's type.
/// \returns  (N, C + D, 2H, 2W), channels-last
[[nodiscard]] at::Tensor upsample_joined(const at::Tensor& low_nchw, const at::Tensor& beside_nchw);

/// Bilinear, corners aligned: (N, C, H, W) -> (N, C, height, width), channels-last, and differentiable, its gradient of
/// the same bits every time. On CUDA two matrix products, for PyTorch's gradient adds there in any order; on the CPU as
/// ATen does it.
[[nodiscard]] at::Tensor upsample_to(const at::Tensor& x_nchw, std::int64_t height, std::int64_t width);

/// Does upsample_twice() run the element functions there? On CUDA, and on the meta device, where only shapes count.
[[nodiscard]] bool upsamples_by_elements(const at::Tensor& x);

}  // namespace xtasc::kernels
