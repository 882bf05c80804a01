#pragma once

#include <cstdint>

#include "kernels/batch_norm/batch_norm_element.hpp"

/// What follows a convolution (bias, ReLU and max-pool, or a norm's product, residual and ReLU), as the whole work of
/// one GPU thread on its part of a NormGrid: the CPU's tests run it too. All memory is channels-last; z is what the
/// convolution gives without its bias. What a pool compares is rounded as a tensor would be, so that one pass has the
/// bits of several.

namespace xtasc::kernels {

/// Where a ReLU lets through, a bit a channel: bit k of a pack's byte is that of its channel k, (rows, packs). Backward
/// reads an eighth of what the ReLU's output would be.
template <typename T, int kPack>
XTASC_INLINE XTASC_HOST_DEVICE std::uint8_t open_channels(const Pack<T, kPack>& y) {
  std::uint8_t open = 0;
  for (std::int32_t k = 0; k < kPack; ++k) {
    const bool is_shut = load_element(y.values + k) <= Real<T>{0};
    open = static_cast<std::uint8_t>(open | (is_shut ? 0U : 1U << k));
  }
  return open;
}

/// The byte of the pack of a row where a part's channels begin.
template <int kPack>
XTASC_INLINE XTASC_HOST_DEVICE std::int64_t place_of_pack(const NormGrid& grid, const NormPart& part,
                                                          std::int64_t row) {
  return (row * grid.channels + part.channel) / kPack;
}

/// y := max(0, z + bias), in place. A row of the grid is a pixel.
template <typename T, int kPack>
struct AddBiasAndRelu {
  T* z;
  const Real<T>* bias;
  std::uint8_t* open;  ///< open_channels() of y; null: not asked for

  XTASC_HOST_DEVICE void operator()(const NormGrid& grid, const NormPart& part) const {
    if (part.first >= part.last) {
      return;
    }
    const OfChannels<Real<T>, kPack> added(bias, part);
    for (std::int64_t row = part.first; row < part.last; row += kNormBatch * part.step) {
      PackedRows<T, kPack> x(z, grid, part, row);
      for (std::int32_t i = 0; i < kNormBatch; ++i) {
        for (std::int32_t k = 0; k < kPack; ++k) {
          T* at = x.rows[i].values + k;
          store_element(at, scaled_and_shifted<true>(load_element(at), Real<T>{1}, added.values[k]));
        }
        if (const std::int64_t at = row + i * part.step; open != nullptr && at < part.last) {
          open[place_of_pack<kPack>(grid, part, at)] = open_channels(x.rows[i]);
        }
      }
      x.store(z, grid, part, row);
    }
  }
};

/// y = max(0, x * scale + shift + added): a norm, a residual and a ReLU. A row of the grid is a pixel.
template <typename T, int kPack>
struct ScaleShiftAddAndRelu {
  const T* x;
  const Real<T>* scale;
  const Real<T>* shift;
  const T* added;
  T* y;

  XTASC_HOST_DEVICE void operator()(const NormGrid& grid, const NormPart& part) const {
    if (part.first >= part.last) {
      return;
    }
    const OfChannels<Real<T>, kPack> factors(scale, part);
    const OfChannels<Real<T>, kPack> shifts(shift, part);
    for (std::int64_t row = part.first; row < part.last; row += kNormBatch * part.step) {
      PackedRows<T, kPack> values(x, grid, part, row);
      const PackedRows<T, kPack> others(added, grid, part, row);
      for (std::int32_t i = 0; i < kNormBatch; ++i) {
        for (std::int32_t k = 0; k < kPack; ++k) {
          T* at = values.rows[i].values + k;
          const Real<T> normed = scaled_and_shifted<false>(load_element(at), factors.values[k], shifts.values[k]);
          const Real<T> sum = normed + load_element(others.rows[i].values + k);
          store_element(at, sum < Real<T>{0} ? Real<T>{0} : sum);
        }
      }
      values.store(y, grid, part, row);
    }
  }
};

/// The windows of a max-pool, 2 x 2 pixels each, of images whose height and width are even: so windows, like pixels,
/// are counted through all images at once.
struct PoolWindows {
  std::uint32_t width;  ///< of an image before the pool

  /// The pixel in the corner of a window: 0 and 1 above, 2 and 3 below.
  [[nodiscard]] XTASC_HOST_DEVICE std::int64_t pixel(std::int64_t window, std::int32_t corner) const {
    const std::uint32_t columns = width / 2;
    const std::uint32_t row = static_cast<std::uint32_t>(window) / columns;
    const std::uint32_t column = static_cast<std::uint32_t>(window) % columns;
    return (std::int64_t{2} * row + corner / 2) * width + 2 * column + corner % 2;
  }
};

/// Of a window's maximum, in place of its corner: the ReLU lets nothing through.
constexpr std::uint8_t kShut = 4;

/// The maxima of max(0, z + bias), and the corner of each: the first of equals, the last NaN, as ATen. A row of the
/// grid is a window.
template <typename T, int kPack>
struct AddBiasReluAndPool {
  const T* z;
  const Real<T>* bias;
  PoolWindows windows;
  T* y;
  std::uint8_t* from;

  XTASC_HOST_DEVICE void operator()(const NormGrid& grid, const NormPart& part) const {
    if (part.first >= part.last) {
      return;
    }
    const OfChannels<Real<T>, kPack> added(bias, part);
    for (std::int64_t row = part.first; row < part.last; row += part.step) {
      Pack<T, kPack> corners[4];
      for (std::int32_t corner = 0; corner < 4; ++corner) {
        corners[corner] =
            *reinterpret_cast<const Pack<T, kPack>*>(z + windows.pixel(row, corner) * grid.channels + part.channel);
      }
      Pack<T, kPack> maxima;
      Pack<std::uint8_t, kPack> places;
      for (std::int32_t k = 0; k < kPack; ++k) {
        Real<T> best{};
        std::uint8_t place = 0;
        for (std::uint8_t corner = 0; corner < 4; ++corner) {
          T* at = corners[corner].values + k;
          store_element(at, load_element(at) + added.values[k]);
          const Real<T> value = load_element(at);
          if (corner == 0 || value > best || value != value) {
            best = value;
            place = corner;
          }
        }
        store_element(maxima.values + k, best < Real<T>{0} ? Real<T>{0} : best);
        places.values[k] = best <= Real<T>{0} ? kShut : place;
      }
      const std::int64_t offset = row * grid.channels + part.channel;
      *reinterpret_cast<Pack<T, kPack>*>(y + offset) = maxima;
      *reinterpret_cast<Pack<std::uint8_t, kPack>*>(from + offset) = places;
    }
  }
};

/// The gradient of z behind AddBiasAndRelu; sums[k] is that of the bias of channel + k. A row of the grid is a pixel.
template <typename T, int kPack>
struct GradientBehindRelu {
  using Element = T;
  static constexpr int kChannels = kPack;
  const T* grad_y;
  const std::uint8_t* open;
  T* grad_z;

  XTASC_HOST_DEVICE void operator()(const NormGrid& grid, const NormPart& part, double (&sums)[2 * kPack]) const {
    for (std::int64_t row = part.first; row < part.last; row += kNormBatch * part.step) {
      PackedRows<T, kPack> g(grad_y, grid, part, row);
      for (std::int32_t i = 0; i < kNormBatch; ++i) {
        const std::int64_t at_row = row + i * part.step;
        const std::uint32_t is_open = at_row < part.last ? open[place_of_pack<kPack>(grid, part, at_row)] : 0U;
        for (std::int32_t k = 0; k < kPack; ++k) {
          T* at = g.rows[i].values + k;
          const Real<T> value = (is_open >> k & 1U) != 0 ? load_element(at) : Real<T>{0};
          store_element(at, value);
          sums[k] += static_cast<double>(value);
        }
      }
      g.store(grad_z, grid, part, row);
    }
  }
};

/// The same behind AddBiasReluAndPool. A row of the grid is a window.
template <typename T, int kPack>
struct GradientBehindPool {
  using Element = T;
  static constexpr int kChannels = kPack;
  const T* grad_y;
  const std::uint8_t* from;
  PoolWindows windows;
  T* grad_z;

  XTASC_HOST_DEVICE void operator()(const NormGrid& grid, const NormPart& part, double (&sums)[2 * kPack]) const {
    for (std::int64_t row = part.first; row < part.last; row += part.step) {
      const std::int64_t offset = row * grid.channels + part.channel;
      const auto g = *reinterpret_cast<const Pack<T, kPack>*>(grad_y + offset);
      const auto places = *reinterpret_cast<const Pack<std::uint8_t, kPack>*>(from + offset);
      for (std::int32_t corner = 0; corner < 4; ++corner) {
        Pack<T, kPack> out;
        for (std::int32_t k = 0; k < kPack; ++k) {
          store_element(out.values + k, places.values[k] == corner ? load_element(g.values + k) : Real<T>{0});
        }
        *reinterpret_cast<Pack<T, kPack>*>(grad_z + windows.pixel(row, corner) * grid.channels + part.channel) = out;
      }
      for (std::int32_t k = 0; k < kPack; ++k) {
        sums[k] += places.values[k] == kShut ? 0.0 : static_cast<double>(load_element(g.values + k));
      }
    }
  }
};

}  // namespace xtasc::kernels
