#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace xtasc::kernels {

/// What is applied to a layer's output, in the same pass where there is one.
enum class Activation { none, relu };

/// The tensors of a convolution and how it moves.
struct Convolution {
  at::Tensor weight;  ///< (out, in, k, k)
  at::Tensor bias;    ///< (out), or undefined
  std::int64_t stride = 1;
  std::int64_t padding = 0;   ///< along sides with more than one tap
  std::int64_t dilation = 1;  ///< between the pixels that neighbouring taps read
};

/// Rows and columns of zeros around the input.
[[nodiscard]] inline std::array<std::int64_t, 2> padding_of(const Convolution& convolution) {
  const auto along = [&convolution](std::int64_t side) {
    return convolution.weight.size(side) == 1 ? 0 : convolution.padding;
  };
  return {along(2), along(3)};
}

/// Of a dilated convolution's three taps along a side of so many pixels, those that read more than padding: all, or the
/// middle one. Of another convolution's taps all.
[[nodiscard]] inline std::int64_t reading_taps(std::int64_t taps, std::int64_t dilation, std::int64_t pixels) {
  return taps == 3 && dilation > 1 && dilation >= pixels ? 1 : taps;
}

/// Up to two tensors that stand for their concatenation along the channels, which is not made where it need not be.
struct Joined {
  at::Tensor first, second;  ///< (N, C, H, W), (N, D, H, W) or undefined
};

/// The tensor in `compute`, the type that convolutions take and give, and channels-last; undefined stays undefined.
[[nodiscard]] inline at::Tensor compact(const at::Tensor& x_nchw, at::ScalarType compute) {
  return x_nchw.defined() ? x_nchw.to(compute).contiguous(at::MemoryFormat::ChannelsLast) : x_nchw;
}

}  // namespace xtasc::kernels
