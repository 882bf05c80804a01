#pragma once

#include <cstdint>

#include "kernels/winograd/winograd_avx512.hpp"

namespace xtasc::kernels::upsampled {

// conv3x3(upsample2x(x)), bilinear with aligned corners, without the upsampled tensor. Both are linear, so the channels
// are contracted first, on a quarter of the pixels, by nine products of 1 x 1 taps; what is left is a sum by pixel,
// separable into columns and rows:
//
//     z[ty, tx, i, j] = W[ty, tx] x[i, j]
//     v[ty, i, px]    = sum_tx sum_j U[px + tx - 1, j] z[ty, tx, i, j]
//     y[py, px]       = sum_ty sum_i U[py + ty - 1, i] v[ty, i, px]
//
// U[r, i] interpolates row r of the upsampled tensor from row i; rows outside are 0, which is the padding. Row by row
// of x, so that z and v stay in the cache. Backward is the transpose. Tensors as in winograd_avx512.hpp.

using winograd::Element;
using winograd::Size;
using winograd::Source;
using winograd::Target;
using winograd::WeightSums;
using winograd::WeightTransform;

/// Interpolation along one side of `small` numbers to 2 * small.
struct Side {
  std::int64_t small;
  const std::int64_t* index;  ///< (2 small, 2): from which two
  const double* weight;       ///< (2 small, 2)
};

/// transform_weight and finish_weight_gradient: panels of 9 * in * out elements; sums are (3, in, 3 * out).
void transform_weight(Element element, const WeightTransform& work, std::int64_t first, std::int64_t last);
void finish_weight_gradient(Element element, const WeightSums& work, std::int64_t first, std::int64_t last);

/// Bytes that one thread needs for itself.
[[nodiscard]] std::int64_t forward_bytes(Element element, const Size& size, std::int64_t out);
[[nodiscard]] std::int64_t backward_bytes(Element element, const Size& size, std::int64_t in, std::int64_t out);
/// Parts of forward() that threads can share.
[[nodiscard]] std::int64_t num_parts(Element element, const Size& size, std::int64_t out);

struct Forward {
  Size size;  ///< of x
  Side rows, columns;
  Source x;
  const void* panel;  ///< of transform_weight
  const void* bias;   ///< float32 (float64), or null
  bool adds;          ///< to what is in y, before the ReLU
  bool relu;
  void* y;
  std::int64_t out;
};
void forward(Element element, const Forward& work, std::int64_t first, std::int64_t last, void* scratch);

struct Backward {
  Size size;  ///< of x
  Side rows, columns;
  Source x;
  Source grad_y;      ///< one tensor, with its gate
  const void* panel;  ///< of transform_weight, backward
  Target grad_x;
};
/// Images [first, last): the gradient of x, and their share of those of weight and bias.
/// \param sums  (3, in, 3 * out), float32 (float64); \param bias  (out)
void backward(Element element, const Backward& work, std::int64_t first, std::int64_t last, void* sums, void* bias,
              void* scratch);

}  // namespace xtasc::kernels::upsampled
