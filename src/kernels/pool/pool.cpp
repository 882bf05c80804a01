#include "kernels/pool/pool.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/ranges.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>

#include "core/error.hpp"
#include "kernels/cpu_loops.hpp"

namespace xtasc::kernels {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor in_channels_last(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor empty_like_shape(const at::Tensor& x, at::IntArrayRef shape, at::ScalarType type) {
  return at::empty(shape, x.options().dtype(type).memory_format(at::MemoryFormat::ChannelsLast));
}

/// Rows of windows of a channels-last map: (N * H / 2) of them, each of W / 2 windows of C channels. Of a small map and
/// a large one one is read and the other written.
template <typename T>
struct Windows {
  T *small, *large;
  std::uint8_t* which;
  std::int64_t columns, channels;

  /// Calls f(places in the small map, the four in the large one) for each window; the places are of channel 0.
  template <typename F>
  XTASC_INLINE void for_rows(std::int64_t begin, std::int64_t end, const F& f) const {
    const std::int64_t large_row = 2 * columns * channels;
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t column = 0; column < columns; ++column) {
        T* upper = large + 2 * row * large_row + 2 * column * channels;
        T* lower = upper + large_row;
        f((row * columns + column) * channels, upper, upper + channels, lower, lower + channels);
      }
    }
  }
};

template <typename T>
XTASC_INLINE void pool_of(const Windows<T>& windows, std::int64_t begin, std::int64_t end) {
  windows.for_rows(begin, end,
                   [&](std::int64_t at, const T* a, const T* b, const T* c, const T* d) XTASC_INLINE_LAMBDA {
                     for (std::int64_t i = 0; i < windows.channels; ++i) {
                       Real<T> best = load_element(a + i);
                       std::uint8_t place = 0;
                       const auto take = [&best, &place](const T* one, std::uint8_t k) XTASC_INLINE_LAMBDA {
                         const Real<T> value = load_element(one);
                         const bool is_better = value > best || value != value;  // NaN wins, as in PyTorch
                         best = is_better ? value : best;
                         place = is_better ? k : place;
                       };
                       take(b + i, 1);
                       take(c + i, 2);
                       take(d + i, 3);
                       store_element(windows.small + at + i, best);
                       windows.which[at + i] = place;
                     }
                   });
}

template <typename T>
XTASC_INLINE void scatter_of(const Windows<T>& windows, std::int64_t begin, std::int64_t end) {
  windows.for_rows(begin, end, [&](std::int64_t at, T* a, T* b, T* c, T* d) XTASC_INLINE_LAMBDA {
    for (std::int64_t i = 0; i < windows.channels; ++i) {
      const T value = windows.small[at + i];
      const std::uint8_t place = windows.which[at + i];
      a[i] = place == 0 ? value : T{};
      b[i] = place == 1 ? value : T{};
      c[i] = place == 2 ? value : T{};
      d[i] = place == 3 ? value : T{};
    }
  });
}

template <typename T>
XTASC_INLINE void gather_of(const Windows<T>& windows, std::int64_t begin, std::int64_t end) {
  windows.for_rows(begin, end,
                   [&](std::int64_t at, const T* a, const T* b, const T* c, const T* d) XTASC_INLINE_LAMBDA {
                     for (std::int64_t i = 0; i < windows.channels; ++i) {
                       const std::uint8_t place = windows.which[at + i];
                       const T upper = place == 0 ? a[i] : b[i];
                       const T lower = place == 2 ? c[i] : d[i];
                       windows.small[at + i] = place < 2 ? upper : lower;
                     }
                   });
}

XTASC_MULTIVERSION void pool(const Windows<float>& windows, std::int64_t begin, std::int64_t end) {
  pool_of(windows, begin, end);
}
XTASC_MULTIVERSION void pool(const Windows<double>& windows, std::int64_t begin, std::int64_t end) {
  pool_of(windows, begin, end);
}
XTASC_MULTIVERSION void pool(const Windows<Bfloat16Bits>& windows, std::int64_t begin, std::int64_t end) {
  pool_of(windows, begin, end);
}
XTASC_MULTIVERSION void scatter(const Windows<float>& windows, std::int64_t begin, std::int64_t end) {
  scatter_of(windows, begin, end);
}
XTASC_MULTIVERSION void scatter(const Windows<double>& windows, std::int64_t begin, std::int64_t end) {
  scatter_of(windows, begin, end);
}
XTASC_MULTIVERSION void scatter(const Windows<Bfloat16Bits>& windows, std::int64_t begin, std::int64_t end) {
  scatter_of(windows, begin, end);
}
XTASC_MULTIVERSION void gather(const Windows<float>& windows, std::int64_t begin, std::int64_t end) {
  gather_of(windows, begin, end);
}
XTASC_MULTIVERSION void gather(const Windows<double>& windows, std::int64_t begin, std::int64_t end) {
  gather_of(windows, begin, end);
}
XTASC_MULTIVERSION void gather(const Windows<Bfloat16Bits>& windows, std::int64_t begin, std::int64_t end) {
  gather_of(windows, begin, end);
}

/// Calls work(windows, first row, last row) for each thread's rows. \param small, large, which  channels-last
template <typename Work>
void for_windows(const at::Tensor& small, const at::Tensor& large, const at::Tensor& which, const Work& work) {
  const std::int64_t of_row = std::max<std::int64_t>(1, small.size(3) * small.size(1));
  with_element_type(small, "pool", [&]<typename T>(T* /*type*/) {
    const Windows<T> windows = {data_of<T>(small), data_of<T>(large), data_of<std::uint8_t>(which), small.size(3),
                                small.size(1)};
    at::parallel_for(0, small.size(0) * small.size(2), std::max<std::int64_t>(1, 16384 / of_row),
                     [&](std::int64_t begin, std::int64_t end) { work(windows, begin, end); });
  });
}

/// (N, C, H, W) -> (N, C, H / 2, W / 2, 4), the windows in row order: what ATen's operations take on other devices.
at::Tensor as_windows(const at::Tensor& x) {
  const auto n = x.size(0), c = x.size(1), h = x.size(2) / 2, w = x.size(3) / 2;
  return x.reshape({n, c, h, 2, w, 2}).permute({0, 1, 2, 4, 3, 5}).reshape({n, c, h, w, 4});
}

at::Tensor scattered(const at::Tensor& small, const at::Tensor& which) {
  const auto n = small.size(0), c = small.size(1), h = small.size(2), w = small.size(3);
  if (takes_loops(small)) {
    const at::Tensor x = in_channels_last(small);
    at::Tensor large = empty_like_shape(x, {n, c, 2 * h, 2 * w}, x.scalar_type());
    for_windows(x, large, which, [](const auto&... rows) { scatter(rows...); });
    return large;
  }
  const at::Tensor places = at::arange(4, which.options());
  const at::Tensor windows =
      at::where(which.unsqueeze(4) == places, small.unsqueeze(4), at::zeros({}, small.options()));
  return in_channels_last(
      windows.reshape({n, c, h, w, 2, 2}).permute({0, 1, 2, 4, 3, 5}).reshape({n, c, 2 * h, 2 * w}));
}

at::Tensor gathered(const at::Tensor& large, const at::Tensor& which) {
  if (takes_loops(large)) {
    const at::Tensor x = in_channels_last(large);
    at::Tensor small = empty_like_shape(x, which.sizes(), x.scalar_type());
    for_windows(small, x, which, [](const auto&... rows) { gather(rows...); });
    return small;
  }
  return in_channels_last(as_windows(large).gather(4, which.to(at::kLong).unsqueeze(4)).squeeze(4));
}

class PoolFunction : public torch::autograd::Function<PoolFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& input) {
    MaxPooled pooled;
    if (takes_loops(input)) {
      const at::Tensor x = in_channels_last(input);
      const std::array<std::int64_t, 4> shape = {x.size(0), x.size(1), x.size(2) / 2, x.size(3) / 2};
      pooled = {empty_like_shape(x, shape, x.scalar_type()), empty_like_shape(x, shape, at::kByte)};
      for_windows(pooled.values, x, pooled.which, [](const auto&... rows) { pool(rows...); });
    } else {
      const at::Tensor windows = as_windows(input);
      const at::Tensor place = windows.argmax(4);  // the first of equals
      pooled = {in_channels_last(windows.gather(4, place.unsqueeze(4)).squeeze(4)),
                in_channels_last(place.to(at::kByte))};
    }
    context->save_for_backward({pooled.which});
    context->mark_non_differentiable({pooled.which});
    return {pooled.values, pooled.which};
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {scattered(gradients[0], context->get_saved_variables()[0])};
  }
};

class UnpoolFunction : public torch::autograd::Function<UnpoolFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& which) {
    context->save_for_backward({which});
    return scattered(x, which);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {gathered(gradients[0], context->get_saved_variables()[0]), at::Tensor()};
  }
};

}  // namespace

MaxPooled max_pool_2x2(const at::Tensor& x_nchw) {
  check(x_nchw.dim() == 4 && x_nchw.size(2) % 2 == 0 && x_nchw.size(3) % 2 == 0,
        "pool: a map of even sides is needed, found {}", fmt::join(x_nchw.sizes(), " x "));
  if (is_recorded()) {
    const auto [values, which] = at::max_pool2d_with_indices(x_nchw, /*kernel_size=*/2);
    return {values, which};
  }
  const variable_list both = PoolFunction::apply(x_nchw);
  return {both[0], both[1]};
}

at::Tensor unpool_2x2(const at::Tensor& x_nchw, const at::Tensor& which_nchw) {
  check(x_nchw.sizes() == which_nchw.sizes(), "unpool: values {} and places {} disagree",
        fmt::join(x_nchw.sizes(), " x "), fmt::join(which_nchw.sizes(), " x "));
  if (is_recorded()) {
    return at::max_unpool2d(x_nchw, which_nchw, {2 * x_nchw.size(2), 2 * x_nchw.size(3)});
  }
  check(which_nchw.scalar_type() == at::kByte, "unpool: places are uint8, found {}",
        c10::toString(which_nchw.scalar_type()));
  return UnpoolFunction::apply(x_nchw, in_channels_last(which_nchw));
}

}  // namespace xtasc::kernels
