#pragma once

#include <cstdint>

namespace xtasc::kernels::winograd {

// Convolutions with 3 x 3 taps, stride 1 and padding 1 by Winograd's F(2x2, 3x3): every 2 x 2 outputs of a channel pair
// come from 16 products instead of 36. With d a 4 x 4 piece of the input (a tile; tiles overlap by two), g the taps:
//
//     y = A^T [(G g G^T) . (B^T d B)] A        . by element, summed over the input channels
//
// Tiles are taken in blocks that fit the cache: 16 small matrix products a block stand between the two transforms.
// Written for AVX-512; tensors are NHWC in memory, channels a multiple of 16 (8 in float64).
// Source: Lavin and Gray 2016, https://arxiv.org/abs/1509.09308, section 4.1.

/// bfloat16 computes its sums in float32; tiled_bfloat16 in another order, on AMX's tiles, where there is such a form.
enum class Element { float32, float64, bfloat16, tiled_bfloat16 };

/// Can this processor, in this build?
[[nodiscard]] bool is_supported(Element element);

struct Size {
  std::int64_t images, height, width;
};

/// Up to two tensors that stand for their concatenation along the channels.
struct Source {
  const void* data[2] = {};
  std::int64_t channels[2] = {};
  /// If set, the first tensor counts as 0 where this one of the same shape is not positive: a gradient behind a ReLU.
  const void* gate = nullptr;
};
struct Target {
  void* data[2] = {};
  std::int64_t channels[2] = {};
};

/// Channels that an AVX-512 register holds: the unit in which threads share the two functions on weights.
[[nodiscard]] std::int64_t lanes_of(Element element);

/// Transformed weights, laid out for the matrix products.
struct WeightTransform {
  const void* weight;  ///< (out, 3, 3, in) float32, or float64 for float64
  std::int64_t out, in;
  std::int64_t stride;  ///< from tap to tap: more than `in` where these are some of the weight's channels only
  bool backward;        ///< for the gradient of the input
  void* panel;          ///< 16 * in * out elements
};
/// Columns [first, last) of the panel, in units of lanes: of `out` channels, backward of `in` channels.
void transform_weight(Element element, const WeightTransform& work, std::int64_t first, std::int64_t last);

/// Blocks of tiles of an image batch, for sharing among threads.
[[nodiscard]] std::int64_t num_blocks(const Size& size);
/// Bytes that one thread needs for itself.
[[nodiscard]] std::int64_t scratch_bytes(Element element, std::int64_t in, std::int64_t out);

struct Forward {
  Size size;
  Source x;
  const void* panel;  ///< of transform_weight
  const void* bias;   ///< float32 (float64 for float64), or null
  bool relu;
  Target y;
};
/// Blocks [first, last) of y. \param scratch  64-byte aligned
void forward(Element element, const Forward& work, std::int64_t first, std::int64_t last, void* scratch);

struct WeightGradient {
  Size size;
  Source x;
  Source grad_y;  ///< one tensor, with its gate
};
/// Adds the share of blocks [first, last) to the transformed gradient and to that of the bias.
/// \param sums  (16, in, out), float32 (float64); \param bias  (out)
void weight_gradient(Element element, const WeightGradient& work, std::int64_t first, std::int64_t last, void* sums,
                     void* bias, void* scratch);
/// The gradient of the weight from `num_sums` such sums, which lie one after another.
struct WeightSums {
  const void* sums;
  std::int64_t num_sums;
  std::int64_t out, in, stride;
  void* weight;  ///< (out, 3, 3, in) float32 (float64), as in WeightTransform
};
/// Channels [first, last) of `out`, in units of lanes.
void finish_weight_gradient(Element element, const WeightSums& work, std::int64_t first, std::int64_t last);

}  // namespace xtasc::kernels::winograd
