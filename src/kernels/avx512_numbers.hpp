#pragma once

// Numbers in AVX-512 registers, for kernels that run only where is_supported() says so. To be included last: everything
// behind it in a source file is compiled for these instructions.

#include <immintrin.h>

#include <cstdint>

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")
// GCC's own headers start some results from an undefined register.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#define XTASC_KERNEL [[gnu::always_inline]] inline

namespace xtasc::kernels::avx512 {

// Each kind: Store is what memory holds, Real what registers hold and sums are in, Word the unit of a matrix product:
// one number, or two of bfloat16.

struct Float32 {
  using Store = float;
  using Real = float;
  using Word = float;
  typedef float Vec __attribute__((vector_size(64)));
  static constexpr std::int64_t kLanes = 16;
  static constexpr std::int64_t kPair = 1;  ///< numbers that a word holds

  XTASC_KERNEL static Vec load(const Store* p) { return _mm512_loadu_ps(p); }
  XTASC_KERNEL static void store(Store* p, Vec v) { _mm512_storeu_ps(p, v); }
  XTASC_KERNEL static Vec load_real(const Real* p) { return _mm512_loadu_ps(p); }
  XTASC_KERNEL static void store_real(Real* p, Vec v) { _mm512_storeu_ps(p, v); }
  XTASC_KERNEL static Vec positive(Vec v) { return _mm512_max_ps(_mm512_setzero_ps(), v); }
  XTASC_KERNEL static Vec gated(Vec v, Vec gate) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(gate, _mm512_setzero_ps(), _CMP_GT_OQ), v);
  }
  XTASC_KERNEL static Vec load_words(const Word* p) { return _mm512_loadu_ps(p); }
  XTASC_KERNEL static Vec dot(Vec sum, Word a, Vec b) { return _mm512_fmadd_ps(_mm512_set1_ps(a), b, sum); }
  /// Lanes that lie `stride` apart.
  XTASC_KERNEL static Vec gather(const Real* p, std::int64_t stride) {
    return _mm512_i32gather_ps(lanes_of(stride), p, sizeof(Real));
  }
  XTASC_KERNEL static void scatter(Real* p, std::int64_t stride, Vec v) {
    _mm512_i32scatter_ps(p, lanes_of(stride), v, sizeof(Real));
  }
  XTASC_KERNEL static __m512i lanes_of(std::int64_t stride) {
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_mullo_epi32(lanes, _mm512_set1_epi32(static_cast<int>(stride)));
  }
  XTASC_KERNEL static void store_pairs(Word* p, Vec low, Vec) { store(p, low); }
};

struct Float64 {
  using Store = double;
  using Real = double;
  using Word = double;
  typedef double Vec __attribute__((vector_size(64)));
  static constexpr std::int64_t kLanes = 8;
  static constexpr std::int64_t kPair = 1;

  XTASC_KERNEL static Vec load(const Store* p) { return _mm512_loadu_pd(p); }
  XTASC_KERNEL static void store(Store* p, Vec v) { _mm512_storeu_pd(p, v); }
  XTASC_KERNEL static Vec load_real(const Real* p) { return _mm512_loadu_pd(p); }
  XTASC_KERNEL static void store_real(Real* p, Vec v) { _mm512_storeu_pd(p, v); }
  XTASC_KERNEL static Vec positive(Vec v) { return _mm512_max_pd(_mm512_setzero_pd(), v); }
  XTASC_KERNEL static Vec gated(Vec v, Vec gate) {
    return _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(gate, _mm512_setzero_pd(), _CMP_GT_OQ), v);
  }
  XTASC_KERNEL static Vec load_words(const Word* p) { return _mm512_loadu_pd(p); }
  XTASC_KERNEL static Vec dot(Vec sum, Word a, Vec b) { return _mm512_fmadd_pd(_mm512_set1_pd(a), b, sum); }
  XTASC_KERNEL static Vec gather(const Real* p, std::int64_t stride) {
    return _mm512_i64gather_pd(lanes_of(stride), p, sizeof(Real));
  }
  XTASC_KERNEL static void scatter(Real* p, std::int64_t stride, Vec v) {
    _mm512_i64scatter_pd(p, lanes_of(stride), v, sizeof(Real));
  }
  XTASC_KERNEL static __m512i lanes_of(std::int64_t stride) {
    return _mm512_mullo_epi64(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi64(stride));
  }
  XTASC_KERNEL static void store_pairs(Word* p, Vec low, Vec) { store(p, low); }
};

struct Bfloat16 {
  using Store = std::uint16_t;
  using Real = float;
  using Word = std::uint32_t;
  typedef float Vec __attribute__((vector_size(64)));
  static constexpr std::int64_t kLanes = 16;
  static constexpr std::int64_t kPair = 2;

  XTASC_KERNEL static Vec load(const Store* p) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  XTASC_KERNEL static __m256i narrow(Vec v) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)); }
  XTASC_KERNEL static void store(Store* p, Vec v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(v)); }
  XTASC_KERNEL static Vec load_real(const Real* p) { return _mm512_loadu_ps(p); }
  XTASC_KERNEL static void store_real(Real* p, Vec v) { _mm512_storeu_ps(p, v); }
  XTASC_KERNEL static Vec positive(Vec v) { return _mm512_max_ps(_mm512_setzero_ps(), v); }
  XTASC_KERNEL static Vec gated(Vec v, Vec gate) { return Float32::gated(v, gate); }
  XTASC_KERNEL static Vec load_words(const Word* p) { return _mm512_castsi512_ps(_mm512_loadu_si512(p)); }
  XTASC_KERNEL static Vec dot(Vec sum, Word a, Vec b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a))),
                            reinterpret_cast<__m512bh>(_mm512_castps_si512(b)));
  }
  XTASC_KERNEL static Vec gather(const Real* p, std::int64_t stride) { return Float32::gather(p, stride); }
  XTASC_KERNEL static void scatter(Real* p, std::int64_t stride, Vec v) { Float32::scatter(p, stride, v); }
  /// Words of (low, high).
  XTASC_KERNEL static void store_pairs(Word* p, Vec low, Vec high) {
    const __m512i l = _mm512_cvtepu16_epi32(narrow(low));
    const __m512i h = _mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow(high)), 16);
    _mm512_storeu_si512(p, _mm512_or_si512(l, h));
  }
};

/// The same numbers where products run on the processor's matrix tiles (AMX): see amx_product.hpp.
struct TiledBfloat16 : Bfloat16 {};

XTASC_KERNEL std::int64_t smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}

XTASC_KERNEL std::int64_t larger(std::int64_t a, std::int64_t b) {
  return a > b ? a : b;
}

/// Vectors of channels that a product takes together: as many as divide them.
template <typename K>
XTASC_KERNEL std::int64_t vecs_of(std::int64_t channels) {
  return channels % (4 * K::kLanes) == 0 ? 4 : channels % (2 * K::kLanes) == 0 ? 2 : 1;
}

/// Output channels that an upsampled convolution takes together.
template <typename K>
XTASC_KERNEL std::int64_t group_of(std::int64_t out) {
  return (out % (2 * K::kLanes) == 0 ? 2 : 1) * K::kLanes;
}

}  // namespace xtasc::kernels::avx512
