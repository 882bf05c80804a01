#include "kernels/upsample/upsampled_avx512.hpp"

#include <type_traits>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)

// Last: it sets the instructions for what follows.
#include "kernels/amx_product.hpp"

namespace xtasc::kernels::upsampled {

namespace {

using avx512::Bfloat16;
using avx512::Float32;
using avx512::Float64;
using avx512::larger;
using avx512::Multiplier;
using avx512::Operands;
using avx512::smaller;
using avx512::TiledBfloat16;

/// Rows of x that are contracted together: enough pixels for two tiles.
template <typename K>
constexpr std::int64_t rows_together(const Size& size) {
  constexpr std::int64_t kPixels = 32;
  return std::is_same_v<K, TiledBfloat16> && size.width < kPixels ? kPixels / size.width : 1;
}

constexpr std::int64_t kRing = 4;  ///< rows of v that an output row may still need: three

/// One image and one group of output channels.
template <typename K, int kVecs>
struct ForwardPart {
  using Vec = typename K::Vec;
  using Real = typename K::Real;
  using Store = typename K::Store;
  using Word = typename K::Word;
  static constexpr std::int64_t kWidth = kVecs * K::kLanes;

  const Forward& work;
  std::int64_t image, channel;
  Multiplier<K>& products;
  Real* z;  ///< (9, rows_together(), width of x, kWidth)
  Real* v;  ///< (kRing, 3, width of y, kWidth)

  XTASC_KERNEL Real* ring(std::int64_t row, std::int64_t ty) const {
    return v + (row % kRing * 3 + ty) * 2 * work.size.width * kWidth;
  }

  /// Floats from a tap of z to the next.
  XTASC_KERNEL std::int64_t tap_stride() const { return rows_together<K>(work.size) * work.size.width * kWidth; }

  XTASC_KERNEL void contract(std::int64_t row, std::int64_t rows) const {
    const std::int64_t in = work.x.channels[0] + work.x.channels[1];
    const std::int64_t pixel = (image * work.size.height + row) * work.size.width;
    const Word* panel = static_cast<const Word*>(work.panel) + channel * 9 * in / K::kPair;
    for (int part = 0; part < 2 && work.x.channels[part] > 0; ++part) {
      const std::int64_t depth = work.x.channels[part] / K::kPair;
      const Word* a = static_cast<const Word*>(work.x.data[part]) + pixel * depth;
      const std::int64_t skipped = part == 0 ? 0 : work.x.channels[0] / K::kPair;
      for (std::int64_t tap = 0; tap < 9; ++tap) {
        const Operands<K> operands = {a, depth, 1, panel + (tap * in / K::kPair + skipped) * kWidth, kWidth, depth};
        Real* to = z + tap * tap_stride();
        if (part == 0) {
          products.template multiply<8, kVecs, false>(operands, rows * work.size.width, to, kWidth);
        } else {
          products.template multiply<8, kVecs, true>(operands, rows * work.size.width, to, kWidth);
        }
      }
    }
  }

  /// z, whose row `of_z` that is, -> v of one row.
  XTASC_KERNEL void widen(std::int64_t row, std::int64_t of_z) const {
    const std::int64_t large = 2 * work.size.width;
    for (std::int64_t ty = 0; ty < 3; ++ty) {
      Real* to = ring(row, ty);
      for (std::int64_t x = 0; x < large; ++x) {
        Vec sum[kVecs] = {};
        for (std::int64_t r = larger(x - 1, 0); r <= smaller(x + 1, large - 1); ++r) {
          const Real* from = z + (ty * 3 + r - x + 1) * tap_stride() + of_z * work.size.width * kWidth;
#pragma GCC unroll 2
          for (int side = 0; side < 2; ++side) {
            const Real* p = from + work.columns.index[2 * r + side] * kWidth;
            const auto weight = static_cast<Real>(work.columns.weight[2 * r + side]);
#pragma GCC unroll 2
            for (int i = 0; i < kVecs; ++i) {
              sum[i] += weight * K::load_real(p + i * K::kLanes);
            }
          }
        }
#pragma GCC unroll 2
        for (int i = 0; i < kVecs; ++i) {
          K::store_real(to + x * kWidth + i * K::kLanes, sum[i]);
        }
      }
    }
  }

  /// v -> one row of y.
  XTASC_KERNEL void emit(std::int64_t y) const {
    const std::int64_t large = 2 * work.size.width;
    const std::int64_t high = 2 * work.size.height;
    const Real* from[6];
    Real weight[6];
    int count = 0;
    for (std::int64_t r = larger(y - 1, 0); r <= smaller(y + 1, high - 1); ++r) {
      for (int side = 0; side < 2; ++side) {
        from[count] = ring(work.rows.index[2 * r + side], r - y + 1);
        weight[count++] = static_cast<Real>(work.rows.weight[2 * r + side]);
      }
    }
    const auto* bias = static_cast<const Real*>(work.bias);
    auto* to = static_cast<Store*>(work.y) + (image * high + y) * large * work.out + channel;
    for (std::int64_t x = 0; x < large; ++x, to += work.out) {
#pragma GCC unroll 2
      for (int i = 0; i < kVecs; ++i) {
        Vec sum = bias != nullptr ? K::load_real(bias + channel + i * K::kLanes) : Vec{};
        if (work.adds) {
          sum += K::load(to + i * K::kLanes);
        }
        for (int part = 0; part < count; ++part) {
          sum += weight[part] * K::load_real(from[part] + x * kWidth + i * K::kLanes);
        }
        K::store(to + i * K::kLanes, work.relu ? K::positive(sum) : sum);
      }
    }
  }

  XTASC_KERNEL void run() const {
    const std::int64_t high = 2 * work.size.height;
    const std::int64_t together = rows_together<K>(work.size);
    std::int64_t y = 0;
    for (std::int64_t row = 0; row < work.size.height; ++row) {
      if (row % together == 0) {
        contract(row, smaller(together, work.size.height - row));
      }
      widen(row, row % together);
      for (; y < high && work.rows.index[2 * smaller(y + 1, high - 1) + 1] <= row; ++y) {
        emit(y);
      }
    }
  }
};

template <typename K>
void forward_parts(const Forward& work, std::int64_t first, std::int64_t last, void* scratch) {
  const std::int64_t width = avx512::group_of<K>(work.out);
  const std::int64_t groups = work.out / width;
  auto* z = static_cast<typename K::Real*>(scratch);
  auto* v = z + 9 * rows_together<K>(work.size) * work.size.width * width;
  Multiplier<K> products;
  for (std::int64_t part = first; part < last; ++part) {
    if (width == 2 * K::kLanes) {
      ForwardPart<K, 2>{work, part / groups, part % groups * width, products, z, v}.run();
    } else {
      ForwardPart<K, 1>{work, part / groups, part % groups * width, products, z, v}.run();
    }
  }
}

}  // namespace

std::int64_t forward_bytes(Element element, const Size& size, std::int64_t out) {
  const std::int64_t wide = element == Element::float64 ? 8 : 4;
  const std::int64_t width =
      element == Element::float64 ? avx512::group_of<Float64>(out) : avx512::group_of<Float32>(out);
  const std::int64_t together = element == Element::tiled_bfloat16 ? rows_together<TiledBfloat16>(size) : 1;
  return (9 * together + 2 * 3 * kRing) * size.width * width * wide;
}

std::int64_t num_parts(Element element, const Size& size, std::int64_t out) {
  return size.images *
         (out / (element == Element::float64 ? avx512::group_of<Float64>(out) : avx512::group_of<Float32>(out)));
}

void forward(Element element, const Forward& work, std::int64_t first, std::int64_t last, void* scratch) {
  switch (element) {
    case Element::float32:
      return forward_parts<Float32>(work, first, last, scratch);
    case Element::float64:
      return forward_parts<Float64>(work, first, last, scratch);
    case Element::bfloat16:
      return forward_parts<Bfloat16>(work, first, last, scratch);
    case Element::tiled_bfloat16:
      return forward_parts<TiledBfloat16>(work, first, last, scratch);
  }
}

}  // namespace xtasc::kernels::upsampled

#endif
