#include "io/image/png_wave.hpp"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace xtasc::io {

namespace {

// Intrinsics, since GCC takes vectors of its own apart for the oldest x86 before it clones a function for newer ones.
#define XTASC_AVX2 __attribute__((target("avx2")))
#define XTASC_AVX2_INLINE __attribute__((target("avx2"), always_inline)) inline

/// A vector holds one pixel of each row, in `lanes` bytes; 3 and 1 bytes are spread to 4 and 2. Rows are read and
/// written in blocks of 16 spread bytes. Row k is k blocks behind row 0.
template <std::size_t pixel_bytes>
struct Layout {
  static constexpr std::size_t lanes = pixel_bytes > 2 ? 4 : 2;
  static constexpr std::size_t rows = 32 / lanes;
  static constexpr std::size_t pixels = 16 / lanes;  ///< of a block
  static constexpr std::size_t block = pixels * pixel_bytes;
};

/// std::array would drop what makes __m256i a vector.
template <std::size_t size>
struct Vectors {
  __m256i at[size];
  __m256i& operator[](std::size_t i) { return at[i]; }
};

template <std::size_t pixel_bytes>
XTASC_AVX2_INLINE __m128i load_block(const std::uint8_t* from) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  if constexpr (pixel_bytes == 3) {
    return _mm_shuffle_epi8(bytes, _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1));
  } else if constexpr (pixel_bytes == 1) {
    return _mm_cvtepu8_epi16(bytes);
  } else {
    return bytes;
  }
}

template <std::size_t pixel_bytes>
XTASC_AVX2_INLINE void store_block(std::uint8_t* to, __m128i spread, std::size_t bytes) {
  if constexpr (pixel_bytes == 3) {
    spread = _mm_shuffle_epi8(spread, _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
  } else if constexpr (pixel_bytes == 1) {
    spread = _mm_packus_epi16(spread, spread);
  }
  if (bytes < Layout<pixel_bytes>::block) {
    std::array<std::uint8_t, 16> packed;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(packed.data()), spread);
    std::memcpy(to, packed.data(), bytes);
  } else if constexpr (Layout<pixel_bytes>::block == 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), spread);
  } else {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), spread);
    if constexpr (Layout<pixel_bytes>::block == 12) {
      const int last = _mm_extract_epi32(spread, 2);
      std::memcpy(to + 8, &last, 4);
    }
  }
}

/// From a block of each row to a pixel of each row, and back. Interleaving the first half of a square's rows with the
/// second as often as its side can be halved transposes it.
template <std::size_t size>
XTASC_AVX2_INLINE void transpose(Vectors<size>& square) {
  static_assert(size == 4 || size == 8);
  for (std::size_t round = size; round > 1; round /= 2) {
    Vectors<size> next;
    for (std::size_t i = 0; i < size / 2; ++i) {
      const __m256i a = square[i];
      const __m256i b = square[i + size / 2];
      next[2 * i] = size == 4 ? _mm256_unpacklo_epi32(a, b) : _mm256_unpacklo_epi16(a, b);
      next[2 * i + 1] = size == 4 ? _mm256_unpackhi_epi32(a, b) : _mm256_unpackhi_epi16(a, b);
    }
    square = next;
  }
}

/// `pixels` moved by one row, `first` in the first place.
template <std::size_t lanes>
XTASC_AVX2_INLINE __m256i move_down(__m256i pixels, __m128i first) {
  // The first place comes from the last one of the vector's lower half.
  const __m256i below = _mm256_permute2x128_si256(_mm256_castsi128_si256(first), pixels, 0x20);
  return _mm256_alignr_epi8(pixels, below, 16 - static_cast<int>(lanes));
}

XTASC_AVX2_INLINE __m256i load_32(const std::uint8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

/// The filters of a wave's rows as masks. Sub, Up and None are what Paeth becomes when it sees zeros in some places.
struct Masks {
  __m256i left, up, corner, is_average;
};

template <std::size_t pixel_bytes>
XTASC_AVX2_INLINE Masks make_masks(const std::uint8_t* rows, std::size_t count, std::size_t stride) {
  constexpr std::size_t lanes = Layout<pixel_bytes>::lanes;
  std::array<std::array<std::uint8_t, 32>, 4> bytes{};
  for (std::size_t i = 0; i < count * lanes; ++i) {
    const std::uint8_t filter = rows[i / lanes * stride];
    bytes[0][i] = filter == 1 || filter >= 3 ? 0xff : 0;
    bytes[1][i] = filter >= 2 ? 0xff : 0;
    bytes[2][i] = filter == 4 ? 0xff : 0;
    bytes[3][i] = filter == 3 ? 0xff : 0;
  }
  return {load_32(bytes[0].data()), load_32(bytes[1].data()), load_32(bytes[2].data()), load_32(bytes[3].data())};
}

/// With lo <= hi the smaller and larger of left and up: Paeth takes lo where 2 (hi - corner) <= corner - lo, hi where
/// 2 (corner - lo) <= hi - corner, and the corner otherwise. Differences below zero may count as zero.
XTASC_AVX2_INLINE __m256i predict(__m256i left, __m256i up, __m256i corner, const Masks& masks) {
  left = _mm256_and_si256(left, masks.left);
  const __m256i lo = _mm256_min_epu8(left, up);
  const __m256i hi = _mm256_max_epu8(left, up);
  const __m256i to_hi = _mm256_subs_epu8(hi, corner);
  const __m256i to_lo = _mm256_subs_epu8(corner, lo);
  const __m256i zero = _mm256_setzero_si256();
  const __m256i takes_lo = _mm256_cmpeq_epi8(_mm256_subs_epu8(_mm256_adds_epu8(to_hi, to_hi), to_lo), zero);
  const __m256i takes_hi = _mm256_cmpeq_epi8(_mm256_subs_epu8(_mm256_adds_epu8(to_lo, to_lo), to_hi), zero);
  const __m256i paeth = _mm256_blendv_epi8(_mm256_blendv_epi8(corner, lo, takes_lo), hi, takes_hi);
  const __m256i odd = _mm256_and_si256(_mm256_xor_si256(left, up), _mm256_set1_epi8(1));
  const __m256i average = _mm256_sub_epi8(_mm256_avg_epu8(left, up), odd);
  return _mm256_blendv_epi8(paeth, average, masks.is_average);
}

template <std::size_t pixel_bytes>
class Wave {
 public:
  using L = Layout<pixel_bytes>;

  XTASC_AVX2_INLINE Wave(std::uint8_t* rows, std::size_t count, std::size_t stride)
      : masks_(make_masks<pixel_bytes>(rows, count, stride)),
        row_(rows + 1),
        above_(rows + 1 - stride),
        count_(count),
        stride_(stride),
        blocks_((stride - 1 + L::block - 1) / L::block) {
    left_ = _mm256_setzero_si256();
    corner_ = left_;
    for (__m256i& pixel : done_.at) {
      pixel = left_;
    }
  }

  XTASC_AVX2_INLINE void run() {
    // Steps in which every row has a whole block to do, and those before and behind them.
    const std::size_t steps = blocks_ + count_ - 1;
    const bool is_full = count_ == L::rows && blocks_ > L::rows;
    const std::size_t first = is_full ? L::rows - 1 : steps;
    const std::size_t last = is_full ? blocks_ - 1 : steps;
    for (std::size_t step = 0; step < first; ++step) {
      do_step<false>(step);
    }
    for (std::size_t step = first; step < last; ++step) {
      do_step<true>(step);
    }
    for (std::size_t step = last; step < steps; ++step) {
      do_step<false>(step);
    }
  }

 private:
  /// The block that a row does in a step: none if not below blocks_.
  XTASC_AVX2_INLINE std::size_t block_of(std::size_t row, std::size_t step) const {
    return row < count_ ? step - row : blocks_;  // a row that has not begun: wraps
  }

  template <bool all>
  XTASC_AVX2_INLINE __m128i load(std::size_t row, std::size_t step) const {
    if (all || block_of(row, step) < blocks_) {
      return load_block<pixel_bytes>(row_ + row * stride_ + (step - row) * L::block);
    }
    return _mm_setzero_si128();
  }

  template <bool all>
  XTASC_AVX2_INLINE void store(std::size_t row, std::size_t step, __m128i spread) const {
    if constexpr (all) {
      store_block<pixel_bytes>(row_ + row * stride_ + (step - row) * L::block, spread, L::block);
    } else if (const std::size_t block = block_of(row, step); block < blocks_) {
      const std::size_t at = block * L::block;
      store_block<pixel_bytes>(row_ + row * stride_ + at, spread, std::min(L::block, stride_ - 1 - at));
    }
  }

  /// \tparam all  whether every row has a whole block to do
  template <bool all>
  XTASC_AVX2_INLINE void do_step(std::size_t step) {
    Vectors<Layout<pixel_bytes>::pixels> block;
    for (std::size_t i = 0; i < L::pixels; ++i) {
      block[i] = _mm256_set_m128i(load<all>(i + L::pixels, step), load<all>(i, step));
    }
    transpose(block);
    // Each pixel of the row above comes to the end of a vector in turn, from where move_down takes it.
    __m128i above[L::pixels];
    above[L::pixels - 1] =
        all || step < blocks_ ? load_block<pixel_bytes>(above_ + step * L::block) : _mm_setzero_si128();
    for (std::size_t i = L::pixels - 1; i > 0; --i) {
      above[i - 1] = _mm_slli_si128(above[i], L::lanes);
    }
    for (std::size_t i = 0; i < L::pixels; ++i) {
      const __m256i up = move_down<L::lanes>(done_[i], above[i]);
      const __m256i prediction =
          predict(left_, _mm256_and_si256(up, masks_.up), _mm256_and_si256(corner_, masks_.corner), masks_);
      corner_ = up;
      left_ = _mm256_add_epi8(block[i], prediction);
      done_[i] = left_;
    }
    block = done_;
    transpose(block);
    for (std::size_t i = 0; i < L::pixels; ++i) {
      store<all>(i, step, _mm256_castsi256_si128(block[i]));
      store<all>(i + L::pixels, step, _mm256_extracti128_si256(block[i], 1));
    }
  }

  Masks masks_;
  std::uint8_t* row_;
  const std::uint8_t* above_;
  std::size_t count_, stride_, blocks_;
  __m256i left_, corner_;
  Vectors<Layout<pixel_bytes>::pixels> done_;  ///< what the last step made
};

template <std::size_t pixel_bytes>
XTASC_AVX2 void undo_wave(std::uint8_t* rows, std::size_t count, std::size_t stride) {
  Wave<pixel_bytes>(rows, count, stride).run();
}

}  // namespace

std::size_t png_wave_rows(std::size_t pixel_bytes) {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (!has_avx2) {
    return 0;
  }
  return pixel_bytes > 2 ? Layout<4>::rows : Layout<2>::rows;
}

void undo_png_wave(std::uint8_t* rows, std::size_t count, std::size_t stride, std::size_t pixel_bytes) {
  switch (pixel_bytes) {
    case 1:
      undo_wave<1>(rows, count, stride);
      break;
    case 2:
      undo_wave<2>(rows, count, stride);
      break;
    case 3:
      undo_wave<3>(rows, count, stride);
      break;
    default:
      undo_wave<4>(rows, count, stride);
      break;
  }
}

}  // namespace xtasc::io

#else

namespace xtasc::io {

std::size_t png_wave_rows(std::size_t /*pixel_bytes*/) {
  return 0;
}

void undo_png_wave(std::uint8_t* /*rows*/, std::size_t /*count*/, std::size_t /*stride*/, std::size_t /*pixel_bytes*/) {
}

}  // namespace xtasc::io

#endif
