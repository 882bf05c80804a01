#include "kernels/winograd/winograd_avx512.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)

#include "kernels/winograd/winograd_tiles.hpp"
// Last: they set the instructions for what follows.
#include "kernels/avx512_product.hpp"

namespace xtasc::kernels::winograd {

namespace {

using avx512::Bfloat16;
using avx512::Float32;
using avx512::Float64;
using avx512::multiply_rows;
using avx512::Operands;
using avx512::smaller;

/// One cache line behind each of the 16 matrices: else they would all fall on the same lines of the first-level cache.
constexpr std::int64_t kGap = 64;

template <typename K, int kVecs>
XTASC_KERNEL void products_over_channels(const typename K::Store* tiles, std::int64_t tiles_stride,
                                         const typename K::Store* panel, std::int64_t in, std::int64_t out,
                                         std::int64_t count, typename K::Real* products, std::int64_t stride) {
  using Word = typename K::Word;
  constexpr std::int64_t kWidth = kVecs * K::kLanes;
  for (int i = 0; i < 16; ++i) {
    for (std::int64_t n = 0; n < out; n += kWidth) {
      const Operands<K> operands = {
          reinterpret_cast<const Word*>(tiles + i * tiles_stride),   in / K::kPair, 1,
          reinterpret_cast<const Word*>(panel + (i * out + n) * in), kWidth,        in / K::kPair};
      multiply_rows<K, kVecs == 4 ? 6 : 8, kVecs, false>(operands, count, products + i * stride + n, out);
    }
  }
}

template <typename K>
void forward_blocks(const Forward& work, std::int64_t first, std::int64_t last, void* scratch) {
  using Store = typename K::Store;
  using Real = typename K::Real;
  const std::int64_t in = work.x.channels[0] + work.x.channels[1];
  const std::int64_t out = work.y.channels[0] + work.y.channels[1];
  const std::int64_t total = num_tiles(work.size);
  const std::int64_t tiles_stride = in * kTiles + kGap / static_cast<std::int64_t>(sizeof(Store));
  const std::int64_t stride = out * kTiles + kGap / static_cast<std::int64_t>(sizeof(Real));
  auto* products = static_cast<Real*>(scratch);
  auto* tiles = reinterpret_cast<Store*>(products + 16 * stride);
  const auto* panel = static_cast<const Store*>(work.panel);
  for (std::int64_t block = first; block < last; ++block) {
    const std::int64_t begin = block * kTiles;
    const std::int64_t count = total - begin < kTiles ? total - begin : kTiles;
    transform_source<K>(work.x, work.size, begin, count, RowsOfTiles<K>{tiles, in, tiles_stride});
    if (block + 1 < last) {
      prefetch<K>(plane_of<K>(work.x, 0), work.size, begin + kTiles, smaller(kTiles, total - begin - kTiles));
      prefetch<K>(plane_of<K>(work.x, 1), work.size, begin + kTiles, smaller(kTiles, total - begin - kTiles));
    }
    switch (avx512::vecs_of<K>(out)) {
      case 4:
        products_over_channels<K, 4>(tiles, tiles_stride, panel, in, out, count, products, stride);
        break;
      case 2:
        products_over_channels<K, 2>(tiles, tiles_stride, panel, in, out, count, products, stride);
        break;
      default:
        products_over_channels<K, 1>(tiles, tiles_stride, panel, in, out, count, products, stride);
    }
    transform_output<K>(products, stride, out, work, begin, count);
  }
}

template <typename K, int kVecs>
XTASC_KERNEL void products_over_tiles(const typename K::Word* x, std::int64_t x_stride, const typename K::Word* grad_y,
                                      std::int64_t grad_stride, std::int64_t in, std::int64_t out, std::int64_t count,
                                      typename K::Real* sums) {
  constexpr std::int64_t kWidth = kVecs * K::kLanes;
  for (int i = 0; i < 16; ++i) {
    for (std::int64_t n = 0; n < out; n += kWidth) {
      const Operands<K> operands = {
          x + i * x_stride, 1, in, grad_y + i * grad_stride + n, out, (count + K::kPair - 1) / K::kPair};
      multiply_rows<K, 8, kVecs, true>(operands, in, sums + i * in * out + n, out);
    }
  }
}

template <typename K>
void weight_gradient_blocks(const WeightGradient& work, std::int64_t first, std::int64_t last, void* sums_out,
                            void* bias_out, void* scratch) {
  using Word = typename K::Word;
  using Real = typename K::Real;
  const std::int64_t in = work.x.channels[0] + work.x.channels[1];
  const std::int64_t out = work.grad_y.channels[0];
  const std::int64_t total = num_tiles(work.size);
  const std::int64_t gap = kGap / static_cast<std::int64_t>(sizeof(Word));
  const std::int64_t x_stride = in * kTiles / K::kPair + gap;
  const std::int64_t grad_stride = out * kTiles / K::kPair + gap;
  auto* x = static_cast<Word*>(scratch);
  Word* grad_y = x + 16 * x_stride;
  auto* sums = static_cast<Real*>(sums_out);
  auto* bias = static_cast<Real*>(bias_out);
  for (std::int64_t block = first; block < last; ++block) {
    const std::int64_t begin = block * kTiles;
    const std::int64_t count = total - begin < kTiles ? total - begin : kTiles;
    transform_source<K>(work.x, work.size, begin, count, PairsOfTiles<K>{x, in, x_stride});
    const Plane<K> plane = plane_of<K>(work.grad_y, 0);
    const PairsOfTiles<K> panel = {grad_y, out, grad_stride};
    if (plane.gate != nullptr) {
      transform_gradient<K, true>(plane, work.size, begin, count, panel, bias);
    } else {
      transform_gradient<K, false>(plane, work.size, begin, count, panel, bias);
    }
    if (block + 1 < last) {
      prefetch<K>(plane_of<K>(work.x, 0), work.size, begin + kTiles, smaller(kTiles, total - begin - kTiles));
      prefetch<K>(plane_of<K>(work.x, 1), work.size, begin + kTiles, smaller(kTiles, total - begin - kTiles));
      prefetch<K>(plane, work.size, begin + kTiles, smaller(kTiles, total - begin - kTiles));
    }
    if (out % (2 * K::kLanes) == 0) {
      products_over_tiles<K, 2>(x, x_stride, grad_y, grad_stride, in, out, count, sums);
    } else {
      products_over_tiles<K, 1>(x, x_stride, grad_y, grad_stride, in, out, count, sums);
    }
  }
}

}  // namespace

std::int64_t num_blocks(const Size& size) {
  return (num_tiles(size) + kTiles - 1) / kTiles;
}

std::int64_t scratch_bytes(Element element, std::int64_t in, std::int64_t out) {
  const std::int64_t narrow = element == Element::float64 ? 8 : element == Element::float32 ? 4 : 2;
  const std::int64_t wide = element == Element::float64 ? 8 : 4;
  return 16 * ((in + out) * kTiles * narrow + out * kTiles * wide + 3 * kGap);
}

void forward(Element element, const Forward& work, std::int64_t first, std::int64_t last, void* scratch) {
  switch (element) {
    case Element::float32:
      return forward_blocks<Float32>(work, first, last, scratch);
    case Element::float64:
      return forward_blocks<Float64>(work, first, last, scratch);
    case Element::bfloat16:
    case Element::tiled_bfloat16:
      return forward_blocks<Bfloat16>(work, first, last, scratch);
  }
}

void weight_gradient(Element element, const WeightGradient& work, std::int64_t first, std::int64_t last, void* sums,
                     void* bias, void* scratch) {
  switch (element) {
    case Element::float32:
      return weight_gradient_blocks<Float32>(work, first, last, sums, bias, scratch);
    case Element::float64:
      return weight_gradient_blocks<Float64>(work, first, last, sums, bias, scratch);
    case Element::bfloat16:
    case Element::tiled_bfloat16:
      return weight_gradient_blocks<Bfloat16>(work, first, last, sums, bias, scratch);
  }
}

}  // namespace xtasc::kernels::winograd

#endif
