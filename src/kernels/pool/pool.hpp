#pragma once

#include <ATen/core/Tensor.h>

namespace xtasc::kernels {

/// The largest of each 2x2 window, and which of the four it was.
struct MaxPooled {
  at::Tensor values;  ///< (N, C, H / 2, W / 2), channels-last
  at::Tensor which;   ///< the same shape, uint8: 0 to 3 in row order; of equals the first, as PyTorch takes it.
                      ///< Where a graph is recorded (kernels/recorded.hpp): int64, places in the map, as PyTorch has
                      ///< them
};

/// \param x_nchw  (N, C, H, W), H and W even; float32, float64 or bfloat16. Differentiable.
/// \throws Error when a side is odd
[[nodiscard]] MaxPooled max_pool_2x2(const at::Tensor& x_nchw);

/// Each value back to the place in its window that `which` names, zeros elsewhere: (N, C, H, W) -> (N, C, 2H, 2W),
/// channels-last. Differentiable. Which values it takes, and where, is PyTorch's max_unpool2d by the indices of the
/// pool.
[[nodiscard]] at::Tensor unpool_2x2(const at::Tensor& x_nchw, const at::Tensor& which_nchw);

}  // namespace xtasc::kernels
