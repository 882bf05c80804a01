#pragma once

// The transforms of winograd_avx512.cpp between tensors and panels of tiles.

#include "kernels/winograd/winograd_avx512.hpp"
// Last: it sets the instructions for what follows.
#include "kernels/avx512_numbers.hpp"

namespace xtasc::kernels::winograd {

constexpr std::int64_t kTiles = 48;  ///< a block

XTASC_KERNEL std::int64_t rows_of_tiles(const Size& size) {
  return (size.height + 1) / 2;
}

XTASC_KERNEL std::int64_t columns_of_tiles(const Size& size) {
  return (size.width + 1) / 2;
}

XTASC_KERNEL std::int64_t num_tiles(const Size& size) {
  return size.images * rows_of_tiles(size) * columns_of_tiles(size);
}

struct Tile {
  std::int64_t image, row, column;  ///< in units of tiles
};

XTASC_KERNEL Tile tile_at(const Size& size, std::int64_t index) {
  const std::int64_t columns = columns_of_tiles(size);
  const std::int64_t rows = rows_of_tiles(size);
  return {index / (columns * rows), index / columns % rows, index % columns};
}

XTASC_KERNEL void start_next_row(const Size& size, Tile& tile) {
  tile.column = 0;
  if (++tile.row == rows_of_tiles(size)) {
    tile.row = 0;
    ++tile.image;
  }
}

XTASC_KERNEL void advance(const Size& size, Tile& tile) {
  if (++tile.column == columns_of_tiles(size)) {
    start_next_row(size, tile);
  }
}

/// One tensor of a Source.
template <typename K>
struct Plane {
  const typename K::Store* data;
  const typename K::Store* gate;
  std::int64_t channels;
};

template <typename K>
Plane<K> plane_of(const Source& source, std::size_t part) {
  return {static_cast<const typename K::Store*>(source.data[part]),
          part == 0 ? static_cast<const typename K::Store*>(source.gate) : nullptr, source.channels[part]};
}

/// Some rows of an image, at one group of channels; those outside count as 0.
template <typename K, bool kGated, int kRows>
struct Rows {
  using Store = typename K::Store;
  using Vec = typename K::Vec;

  XTASC_KERNEL Rows(const Plane<K>& plane, const Size& size, const Tile& tile, std::int64_t first, std::int64_t channel)
      : width(size.width), step(plane.channels) {
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const std::int64_t y = first + i;
      const std::int64_t at = (tile.image * size.height + y) * size.width * step + channel;
      const bool is_inside = y >= 0 && y < size.height;
      data[i] = is_inside ? plane.data + at : nullptr;
      gate[i] = is_inside && kGated ? plane.gate + at : nullptr;
    }
  }

  XTASC_KERNEL void load(std::int64_t x, Vec (&d)[kRows]) const {
    const bool is_inside = x >= 0 && x < width;
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      if (!is_inside || data[i] == nullptr) {
        d[i] = Vec{};
      } else if constexpr (kGated) {
        d[i] = K::gated(K::load(data[i] + x * step), K::load(gate[i] + x * step));
      } else {
        d[i] = K::load(data[i] + x * step);
      }
    }
  }

  std::int64_t width, step;
  const Store* data[kRows];
  const Store* gate[kRows];
};

/// Asks for the pixels of `count` tiles, so that they are in the second-level cache when their turn comes.
template <typename K>
XTASC_KERNEL void prefetch(const Plane<K>& plane, const Size& size, std::int64_t begin, std::int64_t count) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(typename K::Store));
  const std::int64_t last = size.height * size.width * size.images;
  Tile tile = tile_at(size, begin);
  for (std::int64_t t = 0; t < count; ++t, advance(size, tile)) {
    for (std::int64_t i = 1; i < 3; ++i) {  // the rows above and below belong to other tiles too
      const std::int64_t pixel = (tile.image * size.height + 2 * tile.row + i) * size.width + 2 * tile.column;
      if (pixel + 2 <= last) {
        for (std::int64_t c = 0; c < 2 * plane.channels; c += kLine) {
          __builtin_prefetch(plane.data + pixel * plane.channels + c, 0, 2);
          if (plane.gate != nullptr) {
            __builtin_prefetch(plane.gate + pixel * plane.channels + c, 0, 2);
          }
        }
      }
    }
  }
}

/// Where transformed tiles go: as rows of a tile each (for products over channels), or tile beside tile in one word
/// (for products over tiles).
template <typename K>
struct RowsOfTiles {
  typename K::Store* panel;
  std::int64_t channels, stride;  ///< stride: from one of the 16 matrices to the next, in Store

  XTASC_KERNEL void put(std::int64_t tile, std::int64_t channel, const typename K::Vec (&v)[16],
                        typename K::Vec (&)[16]) const {
    typename K::Store* p = panel + tile * channels + channel;
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      K::store(p + i * stride, v[i]);
    }
  }
  XTASC_KERNEL void finish(std::int64_t, std::int64_t, typename K::Vec (&)[16]) const {}
};

template <typename K>
struct PairsOfTiles {
  typename K::Word* panel;
  std::int64_t channels, stride;  ///< in Word

  XTASC_KERNEL void put(std::int64_t tile, std::int64_t channel, const typename K::Vec (&v)[16],
                        typename K::Vec (&held)[16]) const {
    typename K::Word* p = panel + tile / K::kPair * channels + channel;
    if constexpr (K::kPair == 1) {
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        K::store(p + i * stride, v[i]);
      }
    } else if (tile % 2 == 0) {
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        held[i] = v[i];
      }
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        K::store_pairs(p + i * stride, held[i], v[i]);
      }
    }
  }
  /// An odd number of tiles: the last one's partner is 0.
  XTASC_KERNEL void finish(std::int64_t tiles, std::int64_t channel, typename K::Vec (&held)[16]) const {
    if constexpr (K::kPair == 2) {
      if (tiles % 2 == 1) {
        typename K::Word* p = panel + tiles / 2 * channels + channel;
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) {
          K::store_pairs(p + i * stride, held[i], typename K::Vec{});
        }
      }
    }
  }
};

/// Columns [first, first + 2) of a tile, each through B^T. \param z  four columns of four
template <typename K, typename Image>
XTASC_KERNEL void load_columns(const Image& rows, const Tile& tile, int first, typename K::Vec (&z)[4][4]) {
#pragma GCC unroll 2
  for (int j = first; j < first + 2; ++j) {
    typename K::Vec d[4];
    rows.load(2 * tile.column - 1 + j, d);
    z[j][0] = d[0] - d[2];
    z[j][1] = d[1] + d[2];
    z[j][2] = d[2] - d[1];
    z[j][3] = d[1] - d[3];
  }
}

/// B^T d B of `count` tiles from `begin` on.
template <typename K, bool kGated, typename Panel>
XTASC_KERNEL void transform_input(const Plane<K>& plane, const Size& size, std::int64_t begin, std::int64_t count,
                                  std::int64_t offset, const Panel& panel) {
  using Vec = typename K::Vec;
  const Tile start = tile_at(size, begin);
  for (std::int64_t channel = 0; channel < plane.channels; channel += K::kLanes) {
    Tile tile = start;
    Vec held[16] = {};
    std::int64_t t = 0;
    while (t < count) {  // tiles of one row
      const std::int64_t left = columns_of_tiles(size) - tile.column;
      const std::int64_t end = count - t < left ? count : t + left;
      const Rows<K, kGated, 4> rows(plane, size, tile, 2 * tile.row - 1, channel);
      Vec z[4][4] = {};
      load_columns<K>(rows, tile, 0, z);
      for (; t < end; ++t, ++tile.column) {
        load_columns<K>(rows, tile, 2, z);
        Vec v[16];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          v[4 * i] = z[0][i] - z[2][i];
          v[4 * i + 1] = z[1][i] + z[2][i];
          v[4 * i + 2] = z[2][i] - z[1][i];
          v[4 * i + 3] = z[1][i] - z[3][i];
          z[0][i] = z[2][i];  // the next tile's
          z[1][i] = z[3][i];
        }
        panel.put(t, offset + channel, v, held);
      }
      start_next_row(size, tile);
    }
    panel.finish(count, offset + channel, held);
  }
}

/// Both parts of a source, one behind the other.
template <typename K, typename Panel>
XTASC_KERNEL void transform_source(const Source& source, const Size& size, std::int64_t begin, std::int64_t count,
                                   const Panel& panel) {
  if (source.gate != nullptr) {
    transform_input<K, true>(plane_of<K>(source, 0), size, begin, count, 0, panel);
  } else {
    transform_input<K, false>(plane_of<K>(source, 0), size, begin, count, 0, panel);
  }
  if (source.channels[1] > 0) {
    transform_input<K, false>(plane_of<K>(source, 1), size, begin, count, source.channels[0], panel);
  }
}

/// A dy A^T of `count` tiles, and their sum to the bias's gradient.
template <typename K, bool kGated, typename Panel>
XTASC_KERNEL void transform_gradient(const Plane<K>& plane, const Size& size, std::int64_t begin, std::int64_t count,
                                     const Panel& panel, typename K::Real* bias) {
  using Vec = typename K::Vec;
  const Tile start = tile_at(size, begin);
  for (std::int64_t channel = 0; channel < plane.channels; channel += K::kLanes) {
    Tile tile = start;
    Vec held[16] = {};
    Vec sum{};
    std::int64_t t = 0;
    while (t < count) {  // tiles of one row
      const std::int64_t left = columns_of_tiles(size) - tile.column;
      const std::int64_t end = count - t < left ? count : t + left;
      const Rows<K, kGated, 2> rows(plane, size, tile, 2 * tile.row, channel);
      for (; t < end; ++t, ++tile.column) {
        Vec r[2][4];
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j) {
          Vec d[2];
          rows.load(2 * tile.column + j, d);
          r[j][0] = d[0];
          r[j][1] = d[0] + d[1];
          r[j][2] = d[0] - d[1];
          r[j][3] = -d[1];
        }
        Vec v[16];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          v[4 * i] = r[0][i];
          v[4 * i + 1] = r[0][i] + r[1][i];
          v[4 * i + 2] = r[0][i] - r[1][i];
          v[4 * i + 3] = -r[1][i];
        }
        sum += v[5];  // all four of the tile
        panel.put(t, channel, v, held);
      }
      start_next_row(size, tile);
    }
    panel.finish(count, channel, held);
    K::store_real(bias + channel, K::load_real(bias + channel) + sum);
  }
}

/// A^T m A of `count` tiles, with bias and ReLU.
template <typename K>
XTASC_KERNEL void transform_output(const typename K::Real* products, std::int64_t stride, std::int64_t channels,
                                   const Forward& work, std::int64_t begin, std::int64_t count) {
  using Vec = typename K::Vec;
  using Store = typename K::Store;
  const Size& size = work.size;
  const auto* bias = static_cast<const typename K::Real*>(work.bias);
  Tile tile = tile_at(size, begin);
  for (std::int64_t t = 0; t < count; ++t, advance(size, tile)) {
    for (std::int64_t channel = 0; channel < channels; channel += K::kLanes) {
      const typename K::Real* m = products + t * channels + channel;
      Vec r[4][2];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const Vec m0 = K::load_real(m + (4 * i) * stride);
        const Vec m1 = K::load_real(m + (4 * i + 1) * stride);
        const Vec m2 = K::load_real(m + (4 * i + 2) * stride);
        const Vec m3 = K::load_real(m + (4 * i + 3) * stride);
        r[i][0] = m0 + m1 + m2;
        r[i][1] = m1 - m2 - m3;
      }
      const Vec shift = bias != nullptr ? K::load_real(bias + channel) : Vec{};
      const std::size_t part = channel < work.y.channels[0] ? 0 : 1;
      const std::int64_t width = work.y.channels[part];
      Store* y = static_cast<Store*>(work.y.data[part]) + (part == 0 ? channel : channel - work.y.channels[0]);
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        const std::int64_t column = 2 * tile.column + j;
        if (column >= size.width) {
          continue;
        }
        const Vec top = r[0][j] + r[1][j] + r[2][j] + shift;
        const Vec low = r[1][j] - r[2][j] - r[3][j] + shift;
        const std::int64_t row = 2 * tile.row;
        const std::int64_t at = (tile.image * size.height + row) * size.width + column;
        K::store(y + at * width, work.relu ? K::positive(top) : top);
        if (row + 1 < size.height) {
          K::store(y + (at + size.width) * width, work.relu ? K::positive(low) : low);
        }
      }
    }
  }
}

}  // namespace xtasc::kernels::winograd
