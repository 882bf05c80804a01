#pragma once

// Matrix products on AMX's tiles. A tile is up to 16 rows of 64 bytes; one instruction adds the product of two tiles of
// bfloat16, 16 x 32 and 32 x 16, to one of float32.
// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.

// Last: they set the instructions for what follows.
#include "kernels/avx512_product.hpp"
#pragma GCC target("amx-tile,amx-bf16")

namespace xtasc::kernels::avx512 {

/// Four tiles of sums, two by two, from two tiles of a and two of b. Operands as those of Bfloat16, with a_step 1 and a
/// depth that is a multiple of 8 words.
template <>
class Multiplier<TiledBfloat16> {
 public:
  XTASC_KERNEL Multiplier() = default;
  XTASC_KERNEL ~Multiplier() {
    if (upper_ != 0) {
      _tile_release();
    }
  }
  Multiplier(const Multiplier&) = delete;
  Multiplier& operator=(const Multiplier&) = delete;

  template <int /*kRows*/, int kVecs, bool kAdds>
  XTASC_KERNEL void multiply(const Operands<TiledBfloat16>& in, std::int64_t rows, float* c, std::int64_t c_row) {
    asm volatile("" ::: "memory");  // the compiler does not know that tiles read memory
    const std::int64_t words = in.depth % kWords == 0 ? kWords : kWords / 2;
    for (std::int64_t m = 0; m < rows; m += 2 * kRows) {
      const std::int64_t upper = smaller(rows - m, kRows);
      const std::int64_t lower = smaller(rows - m - upper, kRows);
      shape(upper, lower, words);
      const std::uint32_t* a = in.a + m * in.a_row;
      for (int v = 0; v < kVecs; v += 2) {
        float* to = c + m * c_row + v * kColumns;
        if constexpr (kVecs == 1) {
          lower != 0 ? block<true, false, kAdds>(in, a, in.b, to, c_row)
                     : block<false, false, kAdds>(in, a, in.b, to, c_row);
        } else {
          lower != 0 ? block<true, true, kAdds>(in, a, in.b + v * kColumns, to, c_row)
                     : block<false, true, kAdds>(in, a, in.b + v * kColumns, to, c_row);
        }
      }
    }
  }

 private:
  static constexpr std::int64_t kRows = 16, kColumns = 16, kWords = 16;  ///< of a tile

  struct alignas(64) Configuration {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t bytes_of_row[16] = {};
    std::uint8_t rows[16] = {};
  };

  /// Tiles 0 to 3 are sums, 4 and 5 of a, 6 and 7 of b.
  XTASC_KERNEL void shape(std::int64_t upper, std::int64_t lower, std::int64_t words) {
    if (upper == upper_ && lower == lower_ && words == words_) {
      return;
    }
    upper_ = upper;
    lower_ = lower;
    words_ = words;
    const auto of_lower = static_cast<std::uint8_t>(lower != 0 ? lower : upper);
    Configuration tiles;
    for (int i = 0; i < 8; ++i) {
      tiles.bytes_of_row[i] = i == 4 || i == 5 ? static_cast<std::uint16_t>(4 * words) : std::uint16_t{64};
      tiles.rows[i] = i >= 6                       ? static_cast<std::uint8_t>(words)
                      : i == 2 || i == 3 || i == 5 ? of_lower
                                                   : static_cast<std::uint8_t>(upper);
    }
    _tile_loadconfig(&tiles);
  }

  template <bool kLower, bool kRight, bool kAdds>
  XTASC_KERNEL void block(const Operands<TiledBfloat16>& in, const std::uint32_t* a, const std::uint32_t* b, float* c,
                          std::int64_t c_row) const {
    const std::int64_t a_bytes = 4 * in.a_row;
    const std::int64_t b_bytes = 4 * in.b_step;
    const std::int64_t c_bytes = 4 * c_row;
    const std::uint32_t* a_lower = a + kRows * in.a_row;
    float* c_lower = c + kRows * c_row;
    if constexpr (kAdds) {
      _tile_loadd(0, c, c_bytes);
      if constexpr (kRight) {
        _tile_loadd(1, c + kColumns, c_bytes);
      }
      if constexpr (kLower) {
        _tile_loadd(2, c_lower, c_bytes);
      }
      if constexpr (kLower && kRight) {
        _tile_loadd(3, c_lower + kColumns, c_bytes);
      }
    } else {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    for (std::int64_t k = 0; k < in.depth; k += words_, a += words_, a_lower += words_, b += words_ * in.b_step) {
      _tile_loadd(4, a, a_bytes);
      _tile_loadd(6, b, b_bytes);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (kRight) {
        _tile_loadd(7, b + kColumns, b_bytes);
        _tile_dpbf16ps(1, 4, 7);
      }
      if constexpr (kLower) {
        _tile_loadd(5, a_lower, a_bytes);
        _tile_dpbf16ps(2, 5, 6);
      }
      if constexpr (kLower && kRight) {
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    _tile_stored(0, c, c_bytes);
    if constexpr (kRight) {
      _tile_stored(1, c + kColumns, c_bytes);
    }
    if constexpr (kLower) {
      _tile_stored(2, c_lower, c_bytes);
    }
    if constexpr (kLower && kRight) {
      _tile_stored(3, c_lower + kColumns, c_bytes);
    }
  }

  std::int64_t upper_ = 0, lower_ = 0, words_ = 0;
};

/// 16 x 16 words: to[j * to_row + i] = from[i * from_row + j].
XTASC_KERNEL void transpose_words(const std::uint32_t* from, std::int64_t from_row, std::uint32_t* to,
                                  std::int64_t to_row) {
  __m512i r[16], t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    r[i] = _mm512_loadu_si512(from + i * from_row);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    _mm512_storeu_si512(to + i * to_row, _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88));
    _mm512_storeu_si512(to + (i + 4) * to_row, _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88));
    _mm512_storeu_si512(to + (i + 8) * to_row, _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd));
    _mm512_storeu_si512(to + (i + 12) * to_row, _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd));
  }
}

}  // namespace xtasc::kernels::avx512
