#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/convolution.hpp"

namespace xtasc::kernels {

/// Can convolve_by_winograd() take this, computing in `compute`, and does it pay? CPUs with AVX-512, 3 x 3 taps at
/// stride 1, channels a multiple of what a register holds, maps that are not small.
[[nodiscard]] bool suits_winograd(const Joined& x, const Convolution& convolution, at::ScalarType compute);

/// A convolution that suits, in `compute` and channels-last: 16 products where there would be 36, forward and in both
/// gradients; bias, ReLU and its gradient within the same passes over memory. Equal in real arithmetic. In bfloat16 the
/// transformed numbers are rounded once more: 1.5 to 1.8 times the rounding of the plain form. The same bits for the
/// same number of threads.
[[nodiscard]] at::Tensor convolve_by_winograd(const Joined& x, const Convolution& convolution, at::ScalarType compute,
                                              Activation activation);

}  // namespace xtasc::kernels
