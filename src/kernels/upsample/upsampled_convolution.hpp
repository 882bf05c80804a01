#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/convolution.hpp"

namespace xtasc::kernels {

/// Can convolve_upsampled_at_low_size() take this, and does it pay? As suits_winograd(), for low and skip.
[[nodiscard]] bool suits_low_size(const Joined& low, const at::Tensor& skip, const Convolution& convolution,
                                  at::ScalarType compute);

/// A convolution of the joined upsampled `low` and `skip`, (N, C, H, W) and undefined or (N, D, 2H, 2W), with the
/// channels of `low` contracted before the upsample, on a quarter of the pixels, and without the upsampled tensor
/// (upsampled_avx512.hpp); the skip's half by Winograd. Equal in real arithmetic.
[[nodiscard]] at::Tensor convolve_upsampled_at_low_size(const Joined& low, const at::Tensor& skip,
                                                        const Convolution& convolution, at::ScalarType compute,
                                                        Activation activation);

}  // namespace xtasc::kernels
