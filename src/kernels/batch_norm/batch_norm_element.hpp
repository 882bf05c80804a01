#pragma once

#include <cstdint>

#include "core/host_device.hpp"
#include "core/multiversion.hpp"
#include "kernels/element.hpp"

/// Batch norm's arithmetic, which its loops on the CPU and its kernels on the GPU share, and the whole work of one GPU
/// thread but for waiting for others: so the CPU's tests run the very code that a GPU would.
///
/// Whether a product and the sum behind it round once or twice is the compiler's choice: nvcc makes one fma of them,
/// and so does g++ for AVX2 and AVX-512, not for older processors. Results differ by that rounding between machines,
/// never between two calls.

namespace xtasc::kernels {

/// x * scale + shift, and max(0, that) with kRelu.
template <bool kRelu, typename S>
XTASC_INLINE XTASC_HOST_DEVICE S scaled_and_shifted(S x, S scale, S shift) {
  const S value = x * scale + shift;
  // Written so that NaN stays NaN, as in PyTorch.
  return kRelu && value < S{0} ? S{0} : value;
}

/// grad_y where the ReLU let x through; everywhere without kRelu.
template <bool kRelu, typename S>
XTASC_INLINE XTASC_HOST_DEVICE S gated(S grad_y, S x, S scale, S shift) {
  if constexpr (kRelu) {
    return x * scale + shift > S{0} ? grad_y : S{0};
  } else {
    return grad_y;
  }
}

/// The gradient of x, from the gated one of y.
template <typename S>
XTASC_INLINE XTASC_HOST_DEVICE S gradient_element(S gated_gradient, S x, S a, S b, S c) {
  return gated_gradient * a + x * b + c;
}

/// Channels-last memory: grad_y and x (rows, C), scale and shift (C). What an operation does not read may be null.
template <typename T>
struct NormInput {
  const T* grad_y;
  const T* x;
  const Real<T>* scale;
  const Real<T>* shift;
};

/// Of the gradient of x, (C).
template <typename T>
struct NormFactors {
  const Real<T>* a;
  const Real<T>* b;
  const Real<T>* c;
};

/// What is summed for each channel, next to its product with x.
enum class SumOf { x, gradient, gated_gradient };

constexpr std::int32_t kNormThreads = 256;      ///< a block
constexpr std::int32_t kNormPack = 4;           ///< channels that a thread reads at once, where their number allows it
constexpr std::int32_t kNormBatch = 4;          ///< rows that a thread reads before it computes
constexpr std::int64_t kNormRowsPerThread = 8;  ///< at least, before another block gets some
constexpr std::int64_t kNormMaxBlocks = 1024;   ///< a few for each multiprocessor of any GPU

/// How blocks divide a tensor: tiles of channels x slices of rows. From rows and channels alone, so that sums have the
/// same order, and the same bits, on every GPU. In a block `lanes` threads lie side by side on packs of channels
/// and the others below them on further rows.
struct NormGrid {
  std::int64_t rows, channels;
  std::int64_t tiles, slices;
  std::int32_t lanes;  ///< a power of two up to a warp's 32
  std::int32_t pack;   ///< kNormPack or 1
};

inline NormGrid norm_grid(std::int64_t rows, std::int64_t channels) {
  NormGrid grid = {rows, channels, 1, 1, 1, channels % kNormPack == 0 ? kNormPack : 1};
  while (grid.lanes < 32 && grid.lanes * grid.pack < channels) {
    grid.lanes *= 2;
  }
  const std::int64_t width = std::int64_t{grid.lanes} * grid.pack;
  grid.tiles = (channels + width - 1) / width;
  const std::int64_t wanted = rows / (kNormRowsPerThread * (kNormThreads / grid.lanes));
  const std::int64_t most = kNormMaxBlocks / grid.tiles;
  grid.slices = wanted < most ? wanted : most;
  grid.slices = grid.slices < 1 ? 1 : grid.slices;
  return grid;
}

/// A thread's channels, `pack` of them from `channel` on, and its rows: first, first + step ... below last. None, if
/// the channel is past the end.
struct NormPart {
  std::int64_t channel, first, last;
  std::int32_t step;
};

XTASC_HOST_DEVICE inline NormPart norm_part(const NormGrid& grid, std::int64_t tile, std::int64_t slice,
                                            std::int32_t thread) {
  const std::int64_t channel = (tile * grid.lanes + thread % grid.lanes) * grid.pack;
  const std::int64_t first = grid.rows * slice / grid.slices + thread / grid.lanes;
  const std::int64_t last = channel < grid.channels ? grid.rows * (slice + 1) / grid.slices : first;
  return {channel, first, last, kNormThreads / grid.lanes};
}

/// Neighbours in memory that are read or written at once.
template <typename T, int kPack>
struct alignas(kPack * sizeof(T) < 16 ? kPack * sizeof(T) : 16) Pack {
  T values[kPack];
};

/// The thread's next kNormBatch rows from `row` on; zeros behind its last.
template <typename T, int kPack>
struct PackedRows {
  XTASC_INLINE XTASC_HOST_DEVICE PackedRows(const T* p, const NormGrid& grid, const NormPart& part, std::int64_t row) {
    for (std::int32_t i = 0; i < kNormBatch; ++i) {
      if (const std::int64_t at = row + i * part.step; at < part.last) {
        rows[i] = *reinterpret_cast<const Pack<T, kPack>*>(p + at * grid.channels + part.channel);
      }
    }
  }
  XTASC_INLINE XTASC_HOST_DEVICE void store(T* p, const NormGrid& grid, const NormPart& part, std::int64_t row) const {
    for (std::int32_t i = 0; i < kNormBatch; ++i) {
      if (const std::int64_t at = row + i * part.step; at < part.last) {
        *reinterpret_cast<Pack<T, kPack>*>(p + at * grid.channels + part.channel) = rows[i];
      }
    }
  }
  Pack<T, kPack> rows[kNormBatch] = {};
};

/// One number for each of the thread's channels.
template <typename S, int kPack>
struct OfChannels {
  XTASC_INLINE XTASC_HOST_DEVICE OfChannels(const S* by_channel, const NormPart& part) {
    for (std::int32_t k = 0; k < kPack; ++k) {
      values[k] = by_channel[part.channel + k];
    }
  }
  S values[kPack];
};
/// The ReLU's, which is not asked for them without one.
template <typename T, int kPack, bool kRelu>
struct Gate {
  XTASC_INLINE XTASC_HOST_DEVICE Gate(const NormInput<T>& in, const NormPart& part)
      : scale(in.scale, part), shift(in.shift, part) {}
  XTASC_INLINE XTASC_HOST_DEVICE Real<T> gradient(Real<T> grad_y, Real<T> x, std::int32_t k) const {
    return gated<true>(grad_y, x, scale.values[k], shift.values[k]);
  }
  OfChannels<Real<T>, kPack> scale, shift;
};
template <typename T, int kPack>
struct Gate<T, kPack, false> {
  XTASC_INLINE XTASC_HOST_DEVICE Gate(const NormInput<T>& /*in*/, const NormPart& /*part*/) {}
  XTASC_INLINE XTASC_HOST_DEVICE Real<T> gradient(Real<T> grad_y, Real<T> /*x*/, std::int32_t /*k*/) const {
    return grad_y;
  }
};

/// Adds a thread's elements: sums[k] is that of channel + k, sums[kPack + k] that of its products with x. In float64,
/// where the product of two float32 is exact.
template <typename T, int kPack, SumOf kOf>
XTASC_HOST_DEVICE inline void add_part(const NormInput<T>& in, const NormGrid& grid, const NormPart& part,
                                       double (&sums)[2 * kPack]) {
  if (part.first >= part.last) {
    return;
  }
  const Gate<T, kPack, kOf == SumOf::gated_gradient> gate(in, part);
  for (std::int64_t row = part.first; row < part.last; row += kNormBatch * part.step) {
    const PackedRows<T, kPack> x(in.x, grid, part, row);
    PackedRows<T, kPack> g = x;
    if constexpr (kOf != SumOf::x) {
      g = PackedRows<T, kPack>(in.grad_y, grid, part, row);
    }
    for (std::int32_t i = 0; i < kNormBatch; ++i) {
      for (std::int32_t k = 0; k < kPack; ++k) {
        const Real<T> of_x = load_element(x.rows[i].values + k);
        const auto value = static_cast<double>(gate.gradient(load_element(g.rows[i].values + k), of_x, k));
        sums[k] += value;
        sums[kPack + k] += value * static_cast<double>(of_x);
      }
    }
  }
}

/// A thread's elements of y = x * scale + shift.
template <typename T, int kPack, bool kRelu>
XTASC_HOST_DEVICE inline void write_scaled_and_shifted(const NormInput<T>& in, const NormGrid& grid,
                                                       const NormPart& part, T* y) {
  if (part.first >= part.last) {
    return;
  }
  const OfChannels<Real<T>, kPack> scale(in.scale, part);
  const OfChannels<Real<T>, kPack> shift(in.shift, part);
  for (std::int64_t row = part.first; row < part.last; row += kNormBatch * part.step) {
    PackedRows<T, kPack> x(in.x, grid, part, row);
    for (std::int32_t i = 0; i < kNormBatch; ++i) {
      for (std::int32_t k = 0; k < kPack; ++k) {
        T* at = x.rows[i].values + k;
        store_element(at, scaled_and_shifted<kRelu>(load_element(at), scale.values[k], shift.values[k]));
      }
    }
    x.store(y, grid, part, row);
  }
}

/// A thread's elements of the gradient of x = g * a + x * b + c, g being the gated gradient of y.
template <typename T, int kPack, bool kRelu>
XTASC_HOST_DEVICE inline void write_gradient(const NormInput<T>& in, const NormFactors<T>& factors,
                                             const NormGrid& grid, const NormPart& part, T* grad_x) {
  if (part.first >= part.last) {
    return;
  }
  const Gate<T, kPack, kRelu> gate(in, part);
  const OfChannels<Real<T>, kPack> a(factors.a, part);
  const OfChannels<Real<T>, kPack> b(factors.b, part);
  const OfChannels<Real<T>, kPack> c(factors.c, part);
  for (std::int64_t row = part.first; row < part.last; row += kNormBatch * part.step) {
    PackedRows<T, kPack> x(in.x, grid, part, row);
    const PackedRows<T, kPack> g(in.grad_y, grid, part, row);
    for (std::int32_t i = 0; i < kNormBatch; ++i) {
      for (std::int32_t k = 0; k < kPack; ++k) {
        T* at = x.rows[i].values + k;
        const Real<T> of_x = load_element(at);
        const Real<T> of_y = gate.gradient(load_element(g.rows[i].values + k), of_x, k);
        store_element(at, gradient_element(of_y, of_x, a.values[k], b.values[k], c.values[k]));
      }
    }
    x.store(grad_x, grid, part, row);
  }
}

/// What a block's threads have summed up: [which sum][thread].
template <int kNum>
using NormShared = double[kNum][kNormThreads];

/// Adds the sums of the next `half` threads to those of this one. Called for all threads, then waited for, with half =
/// kNormThreads / 2, a half of that and so on: always the same order.
template <int kNum>
XTASC_HOST_DEVICE inline void add_upper_half(NormShared<kNum>& shared, std::int32_t thread, std::int32_t half) {
  for (std::int32_t i = 0; thread < half && i < kNum; ++i) {
    shared[i][thread] += shared[i][thread + half];
  }
}

/// Writes the block's sums to its place in partial, (slices, 2, C).
template <int kPack>
XTASC_HOST_DEVICE inline void write_block_sums(const NormShared<2 * kPack>& shared, const NormGrid& grid,
                                               const NormPart& part, std::int64_t slice, std::int32_t thread,
                                               double* partial) {
  double* out = partial + 2 * slice * grid.channels + part.channel;
  for (std::int32_t k = 0; thread < grid.lanes && part.channel < grid.channels && k < kPack; ++k) {
    out[k] = shared[k][thread];
    out[grid.channels + k] = shared[kPack + k][thread];
  }
}

/// Channels whose slices a block adds up, a sector of 32 bytes; its other threads lie below on more slices.
constexpr std::int32_t kNormColumns = 4;

/// A thread's share of a channel's sum over the slices of partial, (slices, 2, C); one row further on, of its products.
XTASC_HOST_DEVICE inline double sum_of_slices(const double* partial, const NormGrid& grid, std::int64_t channel,
                                              std::int32_t thread) {
  double sum = 0.0;
  for (std::int64_t slice = thread / kNormColumns; channel < grid.channels && slice < grid.slices;
       slice += kNormThreads / kNormColumns) {
    sum += partial[2 * slice * grid.channels + channel];
  }
  return sum;
}

}  // namespace xtasc::kernels
