#pragma once

#include <ATen/core/Tensor.h>

#include "model/layers.hpp"

namespace xtasc::model {

/// Can convolve_upsampled_at_low_size() take this, and does it pay? As suits_winograd(), for low and skip.
[[nodiscard]] bool suits_low_size(const Joined& low, const at::Tensor& skip, const Convolution& convolution,
                                  const Mode& mode);

/// convolve_upsampled() with the channels of `low` contracted before the upsample, on a quarter of the pixels, and
/// without the upsampled tensor (upsampled_kernels.hpp); the skip's half by Winograd. Equal in real arithmetic.
[[nodiscard]] at::Tensor convolve_upsampled_at_low_size(const Joined& low, const at::Tensor& skip,
                                                        const Convolution& convolution, const Mode& mode,
                                                        Activation activation);

}  // namespace xtasc::model
