#include "kernels/winograd/winograd_avx512.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)

// Last: it sets the instructions for what follows.
#include "kernels/avx512_numbers.hpp"

namespace xtasc::kernels::winograd {

namespace {

using avx512::Bfloat16;
using avx512::Float32;
using avx512::Float64;

/// G g G^T of a vector of channel pairs.
template <typename K>
XTASC_KERNEL void transform_taps(const typename K::Vec (&g)[9], typename K::Vec (&u)[16]) {
  using Vec = typename K::Vec;
  constexpr auto kHalf = typename K::Real{0.5};
  Vec rows[4][3];
#pragma GCC unroll 3
  for (int j = 0; j < 3; ++j) {
    const Vec outer = g[j] + g[6 + j];
    rows[0][j] = g[j];
    rows[1][j] = kHalf * (outer + g[3 + j]);
    rows[2][j] = kHalf * (outer - g[3 + j]);
    rows[3][j] = g[6 + j];
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const Vec outer = rows[i][0] + rows[i][2];
    u[4 * i] = rows[i][0];
    u[4 * i + 1] = kHalf * (outer + rows[i][1]);
    u[4 * i + 2] = kHalf * (outer - rows[i][1]);
    u[4 * i + 3] = rows[i][2];
  }
}

/// Taps of `lanes` columns of the panel from n on, in row k of the product's depth. Backward the taps are turned round.
template <typename K>
XTASC_KERNEL void load_taps(const typename K::Real* weight, std::int64_t stride, bool backward, std::int64_t k,
                            std::int64_t n, typename K::Vec (&g)[9]) {
#pragma GCC unroll 9
  for (std::int64_t tap = 0; tap < 9; ++tap) {
    g[tap] = backward ? K::load_real(weight + (k * 9 + 8 - tap) * stride + n)
                      : K::gather(weight + (n * 9 + tap) * stride + k, 9 * stride);
  }
}

/// Panel: [16][columns / width][depth / kPair][width][kPair].
template <typename K>
void transform_columns(const WeightTransform& work, std::int64_t first, std::int64_t last) {
  using Vec = typename K::Vec;
  using Word = typename K::Word;
  const auto* weight = static_cast<const typename K::Real*>(work.weight);
  auto* panel = static_cast<Word*>(work.panel);
  const std::int64_t depth = work.backward ? work.out : work.in;
  const std::int64_t columns = work.backward ? work.in : work.out;
  const std::int64_t width = avx512::vecs_of<K>(columns) * K::kLanes;
  for (std::int64_t n = first * K::kLanes; n < last * K::kLanes; n += K::kLanes) {
    for (std::int64_t k = 0; k < depth; k += K::kPair) {
      Vec g[9];
      Vec low[16];
      load_taps<K>(weight, work.stride, work.backward, k, n, g);
      transform_taps<K>(g, low);
      Vec high[16] = {};
      if constexpr (K::kPair == 2) {
        load_taps<K>(weight, work.stride, work.backward, k + 1, n, g);
        transform_taps<K>(g, high);
      }
      Word* to = panel + (n / width * depth / K::kPair + k / K::kPair) * width + n % width;
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        K::store_pairs(to + i * depth / K::kPair * columns, low[i], high[i]);
      }
    }
  }
}

template <typename K>
void finish_channels(const WeightSums& work, std::int64_t first, std::int64_t last) {
  using Vec = typename K::Vec;
  using Real = typename K::Real;
  constexpr auto kHalf = Real{0.5};
  const auto* sums = static_cast<const Real*>(work.sums);
  auto* weight = static_cast<Real*>(work.weight);
  const std::int64_t stride = work.in * work.out;
  for (std::int64_t o = first * K::kLanes; o < last * K::kLanes; o += K::kLanes) {
    for (std::int64_t c = 0; c < work.in; ++c) {
      Vec u[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        u[i] = K::load_real(sums + i * stride + c * work.out + o);
        for (std::int64_t part = 1; part < work.num_sums; ++part) {
          u[i] += K::load_real(sums + (part * 16 + i) * stride + c * work.out + o);
        }
      }
      Vec rows[3][4];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const Vec half_sum = kHalf * (u[4 + j] + u[8 + j]);
        rows[0][j] = u[j] + half_sum;
        rows[1][j] = kHalf * (u[4 + j] - u[8 + j]);
        rows[2][j] = half_sum + u[12 + j];
      }
#pragma GCC unroll 3
      for (int i = 0; i < 3; ++i) {
        const Vec half_sum = kHalf * (rows[i][1] + rows[i][2]);
        Real* to = weight + (o * 9 + i * 3) * work.stride + c;
        K::scatter(to, 9 * work.stride, rows[i][0] + half_sum);
        K::scatter(to + work.stride, 9 * work.stride, kHalf * (rows[i][1] - rows[i][2]));
        K::scatter(to + 2 * work.stride, 9 * work.stride, half_sum + rows[i][3]);
      }
    }
  }
}

}  // namespace

std::int64_t lanes_of(Element element) {
  return element == Element::float64 ? Float64::kLanes : Float32::kLanes;
}

void transform_weight(Element element, const WeightTransform& work, std::int64_t first, std::int64_t last) {
  switch (element) {
    case Element::float32:
      return transform_columns<Float32>(work, first, last);
    case Element::float64:
      return transform_columns<Float64>(work, first, last);
    case Element::bfloat16:
    case Element::tiled_bfloat16:
      return transform_columns<Bfloat16>(work, first, last);
  }
}

void finish_weight_gradient(Element element, const WeightSums& work, std::int64_t first, std::int64_t last) {
  if (element == Element::float64) {
    finish_channels<Float64>(work, first, last);
  } else {
    finish_channels<Float32>(work, first, last);
  }
}

}  // namespace xtasc::kernels::winograd

#endif
