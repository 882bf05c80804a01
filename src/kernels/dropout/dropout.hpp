#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace xtasc::kernels {

/// Dropout of single values, whose mask is a function of two draws an image and is kept nowhere: backward computes it
/// again. With a and b an image's draws times 2^24, rounded down, its value number k is
///
///     0 where mix(mix(k * 0x9e3779b9 + a) ^ b) < share * 2^32, else x / (1 - share)    in integers modulo 2^32
///     mix(z): z ^= z >> 16, z *= 0x7feb352d, z ^= z >> 15, z *= 0x846ca68b, z ^= z >> 16
///
/// k counts pixel by pixel in row order, a pixel's channels side by side. Differentiable; one pass over memory each way
/// on the CPU, the same bits by ATen's operations elsewhere.
/// Source of mix: C. Wellons, https://nullprogram.com/blog/2018/07/31/ ("lowbias32").
///
/// \param x_nchw    (N, C, H, W) float32, float64 or bfloat16, C * H * W below 2^32
/// \param draws_n2  (N, 2) float32 or float64, in [0, 1]
/// \param share     in [0, 1)
/// \returns         as x, channels-last \throws Error where shapes or the share are others
[[nodiscard]] at::Tensor drop_values(const at::Tensor& x_nchw, const at::Tensor& draws_n2, double share);

/// Numbers that are a function of a key and of each one's own number k alone: with a the key's lower and b its upper
/// half, mix(mix(k * 0x9e3779b9 + a) ^ b) / 2^32 as above. Nothing waits for the device.
///
/// \param first, count  k = first .. first + count - 1, below 2^32
/// \returns             (count) float64, uniform in [0, 1)
[[nodiscard]] at::Tensor element_uniforms(std::int64_t first, std::int64_t count, std::uint64_t key, at::Device device);

}  // namespace xtasc::kernels
