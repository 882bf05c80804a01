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

template <typename K>
constexpr bool kIsTiled = std::is_same_v<K, TiledBfloat16>;

/// Rows of x that are taken together: enough pixels for the depth of a few tiles.
template <typename K>
constexpr std::int64_t rows_together(const Size& size) {
  constexpr std::int64_t kPixels = 128;
  return kIsTiled<K> ? smaller(larger(kPixels / size.width, 1), size.height) : 1;
}

/// Gated rows of the gradient that those may still need: seven for one, two more for each.
template <typename K>
constexpr std::int64_t gate_ring(const Size& size) {
  return 6 + 2 * rows_together<K>(size);
}

/// The rows of the upsampled side that row i reaches.
template <typename Real>
struct Reach {
  std::int64_t row[8];
  Real weight[8];
  int count = 0;

  XTASC_KERNEL Reach(const Side& side, std::int64_t i) {
    // Rows before and after lie beyond the neighbours of i.
    const std::int64_t large = 2 * side.small;
    std::int64_t r = larger(2 * i - 3, 0);
    for (; r < smaller(2 * i + 5, large) && count < 8; ++r) {
      Real sum = 0;
      for (int part = 0; part < 2; ++part) {
        if (side.index[2 * r + part] == i) {
          sum += static_cast<Real>(side.weight[2 * r + part]);
        }
      }
      if (sum != Real{0}) {
        row[count] = r;
        weight[count++] = sum;
      }
    }
  }
};

template <typename K>
struct BackwardScratch {
  using Real = typename K::Real;
  using Store = typename K::Store;
  using Word = typename K::Word;

  // Rows below are those of x that are taken together.
  Real* narrow;     ///< (width of y, out): one ty's rows of the gradient through U^T
  Real* grad_x;     ///< (rows, width of x, in)
  Store* by_tap;    ///< (rows, width of x, 3 * out)
  Word* pairs;      ///< (depth(), 3 * out)
  Word* x;          ///< (depth(), in)
  Word* x_by_word;  ///< (in, depth()), on tiles only
  Store* gated;     ///< (gate_ring(), width of y, out)

  /// Words in which two pixels side by side lie, on tiles up to the next whole one.
  XTASC_KERNEL static std::int64_t depth(const Size& size) {
    const std::int64_t words = rows_together<K>(size) * ((size.width + K::kPair - 1) / K::kPair);
    return kIsTiled<K> ? (words + 15) / 16 * 16 : words;
  }

  static std::int64_t bytes(const Size& size, std::int64_t in, std::int64_t out) {
    const std::int64_t pixels = rows_together<K>(size) * size.width;
    return size_of<Real>(2 * size.width * out + pixels * in) + size_of<Store>(pixels * 3 * out) +
           size_of<Word>(depth(size) * (3 * out + (kIsTiled<K> ? 2 : 1) * in)) +
           size_of<Store>(gate_ring<K>(size) * 2 * size.width * out);
  }
  template <typename T>
  static std::int64_t size_of(std::int64_t n) {
    return n * static_cast<std::int64_t>(sizeof(T));
  }

  BackwardScratch(void* memory, const Size& size, std::int64_t in, std::int64_t out) {
    const std::int64_t pixels = rows_together<K>(size) * size.width;
    narrow = static_cast<Real*>(memory);
    grad_x = narrow + 2 * size.width * out;
    by_tap = reinterpret_cast<Store*>(grad_x + pixels * in);
    pairs = reinterpret_cast<Word*>(by_tap + pixels * 3 * out);
    x = pairs + depth(size) * 3 * out;
    x_by_word = x + depth(size) * in;
    gated = reinterpret_cast<Store*>(x_by_word + (kIsTiled<K> ? depth(size) * in : 0));
    for (std::int64_t i = 0; kIsTiled<K> && i < depth(size) * in; ++i) {
      x[i] = 0;  // what lies behind the last pixel is multiplied by 0, and must be a number
    }
  }
};

template <typename K>
struct BackwardImage {
  using Vec = typename K::Vec;
  using Real = typename K::Real;
  using Store = typename K::Store;
  using Word = typename K::Word;

  const Backward& work;
  const BackwardScratch<K>& scratch;
  Multiplier<K>& products;
  std::int64_t image;
  Real* sums;
  Real* bias;
  std::int64_t gated_rows = 0;  ///< of the gradient, so far

  XTASC_KERNEL std::int64_t in() const { return work.x.channels[0] + work.x.channels[1]; }
  XTASC_KERNEL std::int64_t out() const { return work.grad_y.channels[0]; }

  XTASC_KERNEL const Store* gradient_row(std::int64_t y) {
    const std::int64_t size = 2 * work.size.width * out();
    const std::int64_t at = (image * 2 * work.size.height + y) * size;
    const auto* gradient = static_cast<const Store*>(work.grad_y.data[0]);
    if (work.grad_y.gate == nullptr) {
      return gradient + at;
    }
    const auto* gate = static_cast<const Store*>(work.grad_y.gate);
    for (; gated_rows <= y; ++gated_rows) {
      const std::int64_t from = (image * 2 * work.size.height + gated_rows) * size;
      Store* to = scratch.gated + gated_rows % gate_ring<K>(work.size) * size;
      for (std::int64_t i = 0; i < size; i += K::kLanes) {
        K::store(to + i, K::gated(K::load(gradient + from + i), K::load(gate + from + i)));
      }
    }
    return scratch.gated + y % gate_ring<K>(work.size) * size;
  }

  /// grad_y -> scratch.narrow: rows of ty that reach row i.
  XTASC_KERNEL void gather_rows(const Reach<Real>& reach, std::int64_t ty) {
    const Store* from[8];
    Real weight[8];
    int count = 0;
    for (int k = 0; k < reach.count; ++k) {
      const std::int64_t y = reach.row[k] - ty + 1;
      if (y >= 0 && y < 2 * work.size.height) {
        from[count] = gradient_row(y);
        weight[count++] = reach.weight[k];
      }
    }
    const std::int64_t size = 2 * work.size.width * out();
    for (std::int64_t i = 0; i < size; i += K::kLanes) {
      Vec sum{};
      for (int k = 0; k < count; ++k) {
        sum += weight[k] * K::load(from[k] + i);
      }
      K::store_real(scratch.narrow + i, sum);
    }
  }

  XTASC_KERNEL Vec gather_column(const Reach<Real>& reach, std::int64_t tx, std::int64_t channel) const {
    Vec sum{};
    for (int k = 0; k < reach.count; ++k) {
      const std::int64_t x = reach.row[k] - tx + 1;
      if (x >= 0 && x < 2 * work.size.width) {
        sum += reach.weight[k] * K::load_real(scratch.narrow + x * out() + channel);
      }
    }
    return sum;
  }

  /// scratch.narrow -> scratch.by_tap and scratch.pairs, of row `at` of those taken together.
  XTASC_KERNEL void gather_columns(std::int64_t ty, std::int64_t at) {
    const std::int64_t width = work.size.width;
    Store* by_tap = scratch.by_tap + at * width * 3 * out();
    Word* pairs = scratch.pairs + at * pairs_of_row() * 3 * out();
    for (std::int64_t j = 0; j < width; j += K::kPair) {
      const Reach<Real> low_reach(work.columns, j);
      const Reach<Real> high_reach(work.columns, smaller(j + 1, width - 1));
      const bool has_high = K::kPair == 2 && j + 1 < width;
      for (std::int64_t tx = 0; tx < 3; ++tx) {
        for (std::int64_t channel = 0; channel < out(); channel += K::kLanes) {
          const Vec low = gather_column(low_reach, tx, channel);
          const Vec high = has_high ? gather_column(high_reach, tx, channel) : Vec{};
          const std::int64_t column = tx * out() + channel;
          K::store(by_tap + j * 3 * out() + column, low);
          if (has_high) {
            K::store(by_tap + (j + 1) * 3 * out() + column, high);
          }
          K::store_pairs(pairs + j / K::kPair * 3 * out() + column, low, high);
          if (ty == 1 && tx == 1) {  // the weights of a row of U sum to one: so do these to the sum of grad_y
            K::store_real(bias + channel, K::load_real(bias + channel) + low + high);
          }
        }
      }
    }
  }

  XTASC_KERNEL std::int64_t pairs_of_row() const { return (work.size.width + K::kPair - 1) / K::kPair; }

  /// x's row with neighbours in one word, as row `at` of those taken together.
  XTASC_KERNEL void pair_x(std::int64_t row, std::int64_t at) const {
    Word* to = scratch.x + at * pairs_of_row() * in();
    const std::int64_t width = work.size.width;
    const std::int64_t pixel = (image * work.size.height + row) * width;
    std::int64_t offset = 0;
    for (int part = 0; part < 2; ++part) {
      const std::int64_t channels = work.x.channels[part];
      const Store* from = static_cast<const Store*>(work.x.data[part]) + pixel * channels;
      for (std::int64_t j = 0; j < width; j += K::kPair) {
        for (std::int64_t c = 0; c < channels; c += K::kLanes) {
          const Vec low = K::load(from + j * channels + c);
          const Vec high = K::kPair == 2 && j + 1 < width ? K::load(from + (j + 1) * channels + c) : Vec{};
          K::store_pairs(to + j / K::kPair * in() + offset + c, low, high);
        }
      }
      offset += channels;
    }
  }

  template <int kVecs>
  XTASC_KERNEL void add_grad_x(std::int64_t ty, std::int64_t rows) const {
    constexpr std::int64_t kWidth = kVecs * K::kLanes;
    const std::int64_t pixels = rows * work.size.width;
    const std::int64_t depth = 3 * out() / K::kPair;
    const Word* panel = static_cast<const Word*>(work.panel) + ty * depth * in();
    for (std::int64_t n = 0; n < in(); n += kWidth) {
      const Operands<K> operands = {
          reinterpret_cast<const Word*>(scratch.by_tap), depth, 1, panel + n * depth, kWidth, depth};
      if (ty == 0) {
        products.template multiply<kVecs == 4 ? 6 : 8, kVecs, false>(operands, pixels, scratch.grad_x + n, in());
      } else {
        products.template multiply<kVecs == 4 ? 6 : 8, kVecs, true>(operands, pixels, scratch.grad_x + n, in());
      }
    }
  }

  template <int kVecs>
  XTASC_KERNEL void add_sums(std::int64_t ty) const {
    const std::int64_t columns = 3 * out();
    const std::int64_t depth = scratch.depth(work.size);
    for (std::int64_t n = 0; n < columns; n += kVecs * K::kLanes) {
      const Operands<K> operands = kIsTiled<K>
                                       ? Operands<K>{scratch.x_by_word, depth, 1, scratch.pairs + n, columns, depth}
                                       : Operands<K>{scratch.x, 1, in(), scratch.pairs + n, columns, depth};
      products.template multiply<8, kVecs, true>(operands, in(), sums + ty * in() * columns + n, columns);
    }
  }

  XTASC_KERNEL void store_grad_x(std::int64_t row, std::int64_t at) const {
    const Real* from = scratch.grad_x + at * work.size.width * in();
    const std::int64_t pixel = (image * work.size.height + row) * work.size.width;
    std::int64_t offset = 0;
    for (int part = 0; part < 2; ++part) {
      const std::int64_t channels = work.grad_x.channels[part];
      Store* to = static_cast<Store*>(work.grad_x.data[part]) + pixel * channels;
      for (std::int64_t j = 0; j < work.size.width; ++j) {
        for (std::int64_t c = 0; c < channels; c += K::kLanes) {
          K::store(to + j * channels + c, K::load_real(from + j * in() + offset + c));
        }
      }
      offset += channels;
    }
  }

  /// Rows [first, first + rows) of x.
  XTASC_KERNEL void take(std::int64_t first, std::int64_t rows) {
    for (std::int64_t at = 0; at < rows; ++at) {
      pair_x(first + at, at);
    }
    for (std::int64_t i = rows * pairs_of_row() * 3 * out(); i < scratch.depth(work.size) * 3 * out(); ++i) {
      scratch.pairs[i] = 0;  // behind the last pixel
    }
    if constexpr (kIsTiled<K>) {
      const std::int64_t depth = scratch.depth(work.size);
      for (std::int64_t word = 0; word < depth; word += 16) {
        for (std::int64_t c = 0; c < in(); c += 16) {
          avx512::transpose_words(scratch.x + word * in() + c, in(), scratch.x_by_word + c * depth + word, depth);
        }
      }
    }
    for (std::int64_t ty = 0; ty < 3; ++ty) {
      for (std::int64_t at = 0; at < rows; ++at) {
        gather_rows(Reach<Real>(work.rows, first + at), ty);
        gather_columns(ty, at);
      }
      switch (avx512::vecs_of<K>(in())) {
        case 4:
          add_grad_x<4>(ty, rows);
          break;
        case 2:
          add_grad_x<2>(ty, rows);
          break;
        default:
          add_grad_x<1>(ty, rows);
      }
      if (out() % (2 * K::kLanes) == 0) {
        add_sums<2>(ty);
      } else {
        add_sums<1>(ty);
      }
    }
    for (std::int64_t at = 0; at < rows; ++at) {
      store_grad_x(first + at, at);
    }
  }

  XTASC_KERNEL void run() {
    const std::int64_t together = rows_together<K>(work.size);
    for (std::int64_t row = 0; row < work.size.height; row += together) {
      take(row, smaller(together, work.size.height - row));
    }
  }
};

template <typename K>
void backward_images(const Backward& work, std::int64_t first, std::int64_t last, void* sums, void* bias,
                     void* memory) {
  const BackwardScratch<K> scratch(memory, work.size, work.x.channels[0] + work.x.channels[1], work.grad_y.channels[0]);
  Multiplier<K> products;
  for (std::int64_t image = first; image < last; ++image) {
    BackwardImage<K>{
        work, scratch, products, image, static_cast<typename K::Real*>(sums), static_cast<typename K::Real*>(bias)}
        .run();
  }
}

}  // namespace

std::int64_t backward_bytes(Element element, const Size& size, std::int64_t in, std::int64_t out) {
  switch (element) {
    case Element::float32:
      return (BackwardScratch<Float32>::bytes(size, in, out) + 63) / 64 * 64;
    case Element::float64:
      return (BackwardScratch<Float64>::bytes(size, in, out) + 63) / 64 * 64;
    case Element::bfloat16:
      return (BackwardScratch<Bfloat16>::bytes(size, in, out) + 63) / 64 * 64;
    case Element::tiled_bfloat16:
      return (BackwardScratch<TiledBfloat16>::bytes(size, in, out) + 63) / 64 * 64;
  }
  return 0;
}

void backward(Element element, const Backward& work, std::int64_t first, std::int64_t last, void* sums, void* bias,
              void* scratch) {
  switch (element) {
    case Element::float32:
      return backward_images<Float32>(work, first, last, sums, bias, scratch);
    case Element::float64:
      return backward_images<Float64>(work, first, last, sums, bias, scratch);
    case Element::bfloat16:
      return backward_images<Bfloat16>(work, first, last, sums, bias, scratch);
    case Element::tiled_bfloat16:
      return backward_images<TiledBfloat16>(work, first, last, sums, bias, scratch);
  }
}

}  // namespace xtasc::kernels::upsampled

#endif
