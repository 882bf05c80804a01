#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace xtasc::kernels {

/// What is applied to a layer's output, in the same pass where there is one.
enum class Activation { none, relu };

/// The tensors of a convolution and how it moves.
struct Convolution {
  at::Tensor weight;  ///< (out, in, k, k)
  at::Tensor bias;    ///< (out), or undefined
  std::int64_t stride = 1;
  std::int64_t padding = 0;
};

/// Up to two tensors that stand for their concatenation along the channels, which is not made where it need not be.
struct Joined {
  at::Tensor first, second;  ///< (N, C, H, W), (N, D, H, W) or undefined
};

/// The tensor in `compute`, the type that convolutions take and give, and channels-last; undefined stays undefined.
[[nodiscard]] inline at::Tensor compact(const at::Tensor& x_nchw, at::ScalarType compute) {
  return x_nchw.defined() ? x_nchw.to(compute).contiguous(at::MemoryFormat::ChannelsLast) : x_nchw;
}

}  // namespace xtasc::kernels
