#include "kernels/upsample/upsampled_avx512.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)

// Last: it sets the instructions for what follows.
#include "kernels/avx512_numbers.hpp"

namespace xtasc::kernels::upsampled {

namespace {

using avx512::Bfloat16;
using avx512::Float32;
using avx512::Float64;

/// Forward [out / width][9][in / kPair][width][kPair]; backward [3 ty][in / width][3 * out / kPair][width][kPair].
template <typename K>
void transform_columns(const WeightTransform& work, std::int64_t first, std::int64_t last) {
  using Vec = typename K::Vec;
  const auto* weight = static_cast<const typename K::Real*>(work.weight);
  auto* panel = static_cast<typename K::Word*>(work.panel);
  const std::int64_t in = work.in;
  const std::int64_t out = work.out;
  const std::int64_t width = work.backward ? avx512::vecs_of<K>(in) * K::kLanes : avx512::group_of<K>(out);
  const std::int64_t depth = work.backward ? out : in;
  for (std::int64_t n = first * K::kLanes; n < last * K::kLanes; n += K::kLanes) {
    for (std::int64_t tap = 0; tap < 9; ++tap) {
      for (std::int64_t k = 0; k < depth; k += K::kPair) {
        const auto load = [&](std::int64_t row) __attribute__((always_inline)) {
          return work.backward ? K::load_real(weight + (row * 9 + tap) * work.stride + n)
                               : K::gather(weight + (n * 9 + tap) * work.stride + row, 9 * work.stride);
        };
        const Vec low = load(k);
        const Vec high = K::kPair == 2 ? load(k + 1) : Vec{};
        const std::int64_t row = work.backward ? (tap / 3 * in + n / width * width) * 3 * out / K::kPair +
                                                     (tap % 3 * out + k) / K::kPair * width
                                               : (n / width * 9 + tap) * in / K::kPair * width + k / K::kPair * width;
        K::store_pairs(panel + row + n % width, low, high);
      }
    }
  }
}

template <typename K>
void finish_channels(const WeightSums& work, std::int64_t first, std::int64_t last) {
  using Real = typename K::Real;
  const auto* sums = static_cast<const Real*>(work.sums);
  auto* weight = static_cast<Real*>(work.weight);
  const std::int64_t size = 9 * work.in * work.out;
  for (std::int64_t o = first * K::kLanes; o < last * K::kLanes; o += K::kLanes) {
    for (std::int64_t tap = 0; tap < 9; ++tap) {
      for (std::int64_t c = 0; c < work.in; ++c) {
        const Real* from = sums + ((tap / 3 * work.in + c) * 3 + tap % 3) * work.out + o;
        typename K::Vec sum = K::load_real(from);
        for (std::int64_t part = 1; part < work.num_sums; ++part) {
          sum += K::load_real(from + part * size);
        }
        K::scatter(weight + (o * 9 + tap) * work.stride + c, 9 * work.stride, sum);
      }
    }
  }
}

}  // namespace

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

}  // namespace xtasc::kernels::upsampled

#endif
