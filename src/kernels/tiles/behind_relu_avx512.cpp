#include "kernels/tiles/behind_relu_avx512.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)

// Last: it sets the instructions for what follows.
#include "kernels/avx512_numbers.hpp"

namespace xtasc::kernels::tiles {

namespace {

/// Channels [c, c + 16) or fewer of some pixels.
template <bool kWhole>
XTASC_KERNEL void take_channels(const BehindReluWork& work, std::int64_t begin, std::int64_t end, std::int64_t c,
                                double* sums) {
  constexpr std::int64_t kLanes = avx512::Bfloat16::kLanes;
  const auto lanes = static_cast<__mmask16>(kWhole ? 0xffffU : (1U << (work.channels - c)) - 1U);
  __m512 sum = _mm512_setzero_ps();
  for (std::int64_t pixel = begin; pixel < end; ++pixel) {
    const std::int64_t at = pixel * work.channels + c;
    const __m256i y = _mm256_maskz_loadu_epi16(lanes, work.y + at);
    const __mmask16 is_open = _mm256_cmpgt_epi16_mask(y, _mm256_setzero_si256());  // neither 0 nor the sign
    const __m256i gradient = _mm256_maskz_loadu_epi16(is_open, work.grad_y + at);
    _mm256_mask_storeu_epi16(work.gradient + at, lanes, gradient);
    sum = _mm512_add_ps(sum, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(gradient), 16)));
  }
  alignas(64) float found[kLanes];
  _mm512_store_ps(found, sum);
  for (std::int64_t i = 0; i < kLanes && c + i < work.channels; ++i) {
    sums[c + i] += static_cast<double>(found[i]);
  }
}

}  // namespace

void take_behind_relu(const BehindReluWork& work, std::int64_t begin, std::int64_t end, double* sums) {
  constexpr std::int64_t kLanes = avx512::Bfloat16::kLanes;
  for (std::int64_t first = begin; first < end; first += kPixelsOfSum) {
    const std::int64_t last = avx512::smaller(first + kPixelsOfSum, end);
    std::int64_t c = 0;
    for (; c + kLanes <= work.channels; c += kLanes) {
      take_channels<true>(work, first, last, c, sums);
    }
    if (c < work.channels) {
      take_channels<false>(work, first, last, c, sums);
    }
  }
}

}  // namespace xtasc::kernels::tiles

#endif
