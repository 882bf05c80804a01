#pragma once

// Small matrix products in AVX-512 registers, on operands in the cache.

// Last: it sets the instructions for what follows.
#include "kernels/avx512_numbers.hpp"

namespace xtasc::kernels::avx512 {

/// a[m, k] at a + m * row + k * step, in words; b[k, n] at b + k * step, n contiguous.
template <typename K>
struct Operands {
  const typename K::Word* a;
  std::int64_t a_row, a_step;
  const typename K::Word* b;
  std::int64_t b_step;
  std::int64_t depth;
};

/// c (kRows x kVecs * lanes) = or += a b. \param c_row  distance of its rows
template <typename K, int kRows, int kVecs, bool kAdds>
XTASC_KERNEL void multiply(const Operands<K>& in, typename K::Real* c, std::int64_t c_row) {
  using Vec = typename K::Vec;
  Vec sums[kRows][kVecs];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 16
    for (int v = 0; v < kVecs; ++v) {
      sums[m][v] = kAdds ? K::load_real(c + m * c_row + v * K::kLanes) : Vec{};
    }
  }
  const typename K::Word* a = in.a;
  const typename K::Word* b = in.b;
  for (std::int64_t k = 0; k < in.depth; ++k, a += in.a_step, b += in.b_step) {
    Vec column[kVecs];
#pragma GCC unroll 16
    for (int v = 0; v < kVecs; ++v) {
      column[v] = K::load_words(b + v * K::kLanes);
    }
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 16
      for (int v = 0; v < kVecs; ++v) {
        sums[m][v] = K::dot(sums[m][v], a[m * in.a_row], column[v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 16
    for (int v = 0; v < kVecs; ++v) {
      K::store_real(c + m * c_row + v * K::kLanes, sums[m][v]);
    }
  }
}

/// The same for `rows` rows, kRows at a time.
template <typename K, int kRows, int kVecs, bool kAdds>
XTASC_KERNEL void multiply_rows(Operands<K> in, std::int64_t rows, typename K::Real* c, std::int64_t c_row) {
  std::int64_t m = 0;
  for (; m + kRows <= rows; m += kRows, in.a += kRows * in.a_row, c += kRows * c_row) {
    multiply<K, kRows, kVecs, kAdds>(in, c, c_row);
  }
  for (; m < rows; ++m, in.a += in.a_row, c += c_row) {
    multiply<K, 1, kVecs, kAdds>(in, c, c_row);
  }
}

/// One thread's products: what has a state where they run on tiles.
template <typename K>
struct Multiplier {
  template <int kRows, int kVecs, bool kAdds>
  XTASC_KERNEL void multiply(const Operands<K>& in, std::int64_t rows, typename K::Real* c, std::int64_t c_row) {
    multiply_rows<K, kRows, kVecs, kAdds>(in, rows, c, c_row);
  }
};

}  // namespace xtasc::kernels::avx512
