#pragma once

#include <cstdint>

namespace xtasc::kernels::tiles {

/// Pixels whose sum stays in float32.
constexpr std::int64_t kPixelsOfSum = 64;

/// Maps of bfloat16, a pixel's channels side by side.
struct BehindReluWork {
  const std::uint16_t *grad_y, *y;
  std::uint16_t* gradient;  ///< grad_y where y is positive, else 0
  std::int64_t channels;
};
/// Pixels [begin, end), on a processor with AVX-512. \param sums  (channels), the gradient's are added
void take_behind_relu(const BehindReluWork& work, std::int64_t begin, std::int64_t end, double* sums);

}  // namespace xtasc::kernels::tiles
