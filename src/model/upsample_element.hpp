#pragma once

#include <cstdint>

#include "core/host_device.hpp"
#include "model/element.hpp"

/// The per-element functions of the bilinear upsample to twice the size and of its gradient: compiled for the CPU and,
/// by nvcc, for the GPU, so that the CPU's tests run the very code that a GPU would.

namespace xtasc::model {

/// Sizes of the small image; the large one has twice the height and width. Channels-last: (N, H, W, C).
struct UpsampleShape {
  std::int64_t num_images, channels;
  std::int32_t height, width;
};

/// Where output i lies between two inputs of `size`, corners aligned: low * (1 - weight_high) + high * weight_high.
template <typename S>
struct BetweenTwo {
  std::int32_t low, high;
  S weight_high;
};

template <typename S>
XTASC_HOST_DEVICE inline BetweenTwo<S> between_two(std::int32_t i, std::int32_t size) {
  const S position = static_cast<S>(i) * (static_cast<S>(size - 1) / static_cast<S>(2 * size - 1));
  const auto low = static_cast<std::int32_t>(position);
  return {low, low + (low < size - 1 ? 1 : 0), position - static_cast<S>(low)};
}

/// Weight of input `k` in output `i` along one axis of `size` inputs.
template <typename S>
XTASC_HOST_DEVICE inline S weight_of(std::int32_t k, std::int32_t i, std::int32_t size) {
  const BetweenTwo<S> at = between_two<S>(i, size);
  return (at.low == k ? S(1) - at.weight_high : S(0)) + (at.high == k ? at.weight_high : S(0));
}

/// Output (image n, row y, column x, channel c) from the small image.
template <typename T>
XTASC_HOST_DEVICE inline typename Sum<T>::Type upsampled_element(const T* small, const UpsampleShape& s, std::int64_t n,
                                                                 std::int32_t y, std::int32_t x, std::int64_t c) {
  using S = typename Sum<T>::Type;
  const BetweenTwo<S> row = between_two<S>(y, s.height);
  const BetweenTwo<S> column = between_two<S>(x, s.width);
  const auto at = [&](std::int32_t r, std::int32_t q) {
    return load_element(small + ((n * s.height + r) * s.width + q) * s.channels + c);
  };
  const S upper = at(row.low, column.low) * (S(1) - column.weight_high) + at(row.low, column.high) * column.weight_high;
  const S lower =
      at(row.high, column.low) * (S(1) - column.weight_high) + at(row.high, column.high) * column.weight_high;
  return upper * (S(1) - row.weight_high) + lower * row.weight_high;
}

/// Gradient of the small image at (n, y, x, c): every output that it went into is read, none is written by two threads,
/// so the sum has one order. PyTorch's scatters with atomics, whose order changes from call to call.
template <typename T>
XTASC_HOST_DEVICE inline typename Sum<T>::Type upsample_gradient_element(const T* large, const UpsampleShape& s,
                                                                         std::int64_t n, std::int32_t y, std::int32_t x,
                                                                         std::int64_t c) {
  using S = typename Sum<T>::Type;
  const std::int32_t large_height = 2 * s.height;
  const std::int32_t large_width = 2 * s.width;
  // Output i lies at i (size - 1) / (2 size - 1), a little less than i / 2: within one of k for i in 2k - 2 .. 2k + 3.
  S sum = S(0);
  for (std::int32_t i = 2 * y - 2 < 0 ? 0 : 2 * y - 2; i <= 2 * y + 3 && i < large_height; ++i) {
    const S row_weight = weight_of<S>(y, i, s.height);
    if (row_weight == S(0)) {
      continue;
    }
    S row = S(0);
    for (std::int32_t j = 2 * x - 2 < 0 ? 0 : 2 * x - 2; j <= 2 * x + 3 && j < large_width; ++j) {
      row += weight_of<S>(x, j, s.width) *
             load_element(large + ((n * large_height + i) * large_width + j) * s.channels + c);
    }
    sum += row_weight * row;
  }
  return sum;
}

}  // namespace xtasc::model
