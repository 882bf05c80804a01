#pragma once

#include <algorithm>
#include <cstdint>

#include "core/host_device.hpp"
#include "kernels/channel_pack.hpp"

/// The bilinear upsample to twice the size and its gradient, the whole work of one GPU thread: compiled for the CPU
/// and, by nvcc, for the GPU, so that the CPU's tests run the very code that a GPU would.

namespace xtasc::kernels {

/// One axis of the small image; the large one has twice the size, corners aligned.
template <typename S>
struct UpsampleAxis {
  std::int32_t size;
  S scale;  ///< from an output's index to its place among the inputs
};

template <typename S>
inline UpsampleAxis<S> upsample_axis(std::int32_t size) {
  return {size, static_cast<S>(size - 1) / static_cast<S>(2 * size - 1)};
}

/// Channels-last memory: the small images are (images, rows, columns, channels). The large ones may be some channels of
/// a wider tensor: `out` or `in` points to the first of them, and the next pixel is `large_stride` elements on.
template <typename T>
struct UpsampleWork {
  const T* in;
  T* out;
  std::int32_t images, channels, large_stride;
  UpsampleAxis<Real<T>> rows, columns;
};

/// The pixel of the output that is a thread's, and which of the `lanes` threads it is that share its channels.
struct UpsamplePlace {
  std::int32_t image, row, column, lane, lanes;
};

constexpr std::int32_t kUpsampleThreads = 256;  ///< at most, a block

/// How blocks divide the output: each has `columns` pixels of one row, with `lanes` threads a pixel.
struct UpsampleGrid {
  std::int32_t column_blocks, rows, columns, lanes;
  std::int32_t pack;  ///< channels that a thread reads and writes at once: kChannelsPerPack or 1
};

/// \param pack  divides the channels; \param rows, columns  of the output
inline UpsampleGrid upsample_grid(std::int32_t channels, std::int32_t pack, std::int32_t rows, std::int32_t columns) {
  const std::int32_t lanes = std::min(channels / pack, kUpsampleThreads);
  const std::int32_t together = std::min(kUpsampleThreads / lanes, columns);
  return {(columns + together - 1) / together, rows, together, lanes, pack};
}

/// Where output i lies between two inputs: low * (1 - weight_high) + high * weight_high.
template <typename S>
struct BetweenTwo {
  std::int32_t low, high;
  S weight_high;
};

template <typename S>
XTASC_HOST_DEVICE inline BetweenTwo<S> between_two(std::int32_t i, const UpsampleAxis<S>& axis) {
  const S position = static_cast<S>(i) * axis.scale;
  const auto low = static_cast<std::int32_t>(position);
  return {low, low + (low < axis.size - 1 ? 1 : 0), position - static_cast<S>(low)};
}

/// The outputs that input k goes into: output i lies at i (size - 1) / (2 size - 1), less than one from k only for i
/// from 2k - 1 to 2k + 2. What is no output has weight zero and the index of one.
template <typename S>
struct UpsampleReach {
  static constexpr int kOutputs = 4;
  std::int32_t output[kOutputs];
  S weight[kOutputs];

  XTASC_INLINE XTASC_HOST_DEVICE UpsampleReach(std::int32_t k, const UpsampleAxis<S>& axis) {
    for (int m = 0; m < kOutputs; ++m) {
      const std::int32_t i = 2 * k - 1 + m;
      const bool is_output = i >= 0 && i < 2 * axis.size;
      // As between_two() has it: here `low` is k or the input before.
      const S position = static_cast<S>(i) * axis.scale;
      const S weight_low = S(1) - (position - static_cast<S>(k));
      const S weight_high = position - static_cast<S>(k - 1);
      output[m] = is_output ? i : 2 * k;
      weight[m] = is_output ? (position < static_cast<S>(k) ? weight_high : weight_low) : S(0);
    }
  }
};

/// A thread's pixel of the large image from the small one.
template <typename T, int kPack>
XTASC_HOST_DEVICE inline void upsample_pixel(const UpsampleWork<T>& work, const UpsamplePlace& at) {
  using Pack = ChannelPack<T, kPack>;
  using S = Real<T>;
  if (at.column >= 2 * work.columns.size) {
    return;
  }
  const BetweenTwo<S> row = between_two(at.row, work.rows);
  const BetweenTwo<S> column = between_two(at.column, work.columns);
  const std::int32_t row_stride = work.columns.size * work.channels;
  const T* upper = work.in + std::int64_t{at.image * work.rows.size + row.low} * row_stride;
  const T* lower = upper + (row.high - row.low) * row_stride;
  const std::int32_t left = column.low * work.channels;
  const std::int32_t right = column.high * work.channels;
  T* out = work.out +
           std::int64_t{at.image * 2 * work.rows.size + at.row} * (2 * work.columns.size * work.large_stride) +
           at.column * work.large_stride;
  XTASC_ROLLED
  for (std::int32_t c = at.lane * kPack; c < work.channels; c += at.lanes * kPack) {
    const Pack upper_left = Pack::load(upper + left + c);
    const Pack upper_right = Pack::load(upper + right + c);
    const Pack lower_left = Pack::load(lower + left + c);
    const Pack lower_right = Pack::load(lower + right + c);
    Pack result;
    for (int k = 0; k < kPack; ++k) {
      const S above = upper_left.values[k] * (S(1) - column.weight_high) + upper_right.values[k] * column.weight_high;
      const S below = lower_left.values[k] * (S(1) - column.weight_high) + lower_right.values[k] * column.weight_high;
      result.values[k] = above * (S(1) - row.weight_high) + below * row.weight_high;
    }
    result.store(out + c);
  }
}

/// The gradient of a thread's pixel of the small image from that of the large one: every output that it went into is
/// read, none is written by two threads, so the sum has one order. PyTorch's scatters with atomics, whose order changes
/// from call to call.
template <typename T, int kPack>
XTASC_HOST_DEVICE inline void upsample_gradient_pixel(const UpsampleWork<T>& work, const UpsamplePlace& at) {
  using Pack = ChannelPack<T, kPack>;
  using S = Real<T>;
  using Reach = UpsampleReach<S>;
  if (at.column >= work.columns.size) {
    return;
  }
  const Reach rows(at.row, work.rows);
  const Reach columns(at.column, work.columns);
  const std::int32_t row_stride = 2 * work.columns.size * work.large_stride;
  const T* in = work.in + std::int64_t{at.image * 2 * work.rows.size} * row_stride;
  T* out =
      work.out + (std::int64_t{at.image * work.rows.size + at.row} * work.columns.size + at.column) * work.channels;
  XTASC_ROLLED
  for (std::int32_t c = at.lane * kPack; c < work.channels; c += at.lanes * kPack) {
    Pack sum;
    for (int i = 0; i < Reach::kOutputs; ++i) {
      const T* from = in + std::int64_t{rows.output[i]} * row_stride + c;
      Pack row;
      for (int j = 0; j < Reach::kOutputs; ++j) {
        const Pack gradient = Pack::load(from + columns.output[j] * work.large_stride);
        for (int k = 0; k < kPack; ++k) {
          row.values[k] += columns.weight[j] * gradient.values[k];
        }
      }
      for (int k = 0; k < kPack; ++k) {
        sum.values[k] += rows.weight[i] * row.values[k];
      }
    }
    sum.store(out + c);
  }
}

}  // namespace xtasc::kernels
