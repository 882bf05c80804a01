#include "kernels/pool/pool.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/ranges.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "kernels/element.hpp"

namespace xtasc::kernels {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor in_channels_last(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

/// The loops below are the CPU's; other devices, and who looks at their forms, take ATen's operations.
bool takes_loops(const at::Tensor& x) {
  return x.is_cpu() && !takes_cuda_form(x);
}

at::Tensor empty_like_shape(const at::Tensor& x, at::IntArrayRef shape, at::ScalarType type) {
  return at::empty(shape, x.options().dtype(type).memory_format(at::MemoryFormat::ChannelsLast));
}

/// Rows of windows of a channels-last map: (N * H / 2) of them, each of W / 2 windows of C channels.
struct Windows {
  std::int64_t rows, columns, channels;

  explicit Windows(const at::Tensor& small)
      : rows(small.size(0) * small.size(2)), columns(small.size(3)), channels(small.size(1)) {}

  /// Calls f(place in the small map, the four places in the large one) for each window; places are of channel 0.
  template <typename F>
  void for_all(const F& f) const {
    const std::int64_t large_row = 2 * columns * channels;
    at::parallel_for(0, rows, std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, columns * channels)),
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t row = begin; row < end; ++row) {
                         for (std::int64_t column = 0; column < columns; ++column) {
                           const std::int64_t upper = 2 * row * large_row + 2 * column * channels;
                           f((row * columns + column) * channels,
                             std::array{upper, upper + channels, upper + large_row, upper + large_row + channels});
                         }
                       }
                     });
  }
};

template <typename T>
void pool(const Windows& windows, const T* x, T* values, std::uint8_t* which) {
  windows.for_all([&](std::int64_t small, const std::array<std::int64_t, 4>& large) {
    for (std::int64_t c = 0; c < windows.channels; ++c) {
      T best = x[large[0] + c];
      Real<T> best_value = load_element(&best);
      std::uint8_t place = 0;
      for (std::uint8_t k = 1; k < 4; ++k) {
        const T one = x[large[k] + c];
        const Real<T> value = load_element(&one);
        const bool is_better = value > best_value || value != value;  // NaN wins, as in PyTorch
        best = is_better ? one : best;
        best_value = is_better ? value : best_value;
        place = is_better ? k : place;
      }
      values[small + c] = best;
      which[small + c] = place;
    }
  });
}

template <typename T>
void scatter(const Windows& windows, const T* small_map, const std::uint8_t* which, T* large_map) {
  windows.for_all([&](std::int64_t small, const std::array<std::int64_t, 4>& large) {
    for (std::uint8_t k = 0; k < 4; ++k) {
      for (std::int64_t c = 0; c < windows.channels; ++c) {
        large_map[large[k] + c] = which[small + c] == k ? small_map[small + c] : T{};
      }
    }
  });
}

template <typename T>
void gather(const Windows& windows, const T* large_map, const std::uint8_t* which, T* small_map) {
  windows.for_all([&](std::int64_t small, const std::array<std::int64_t, 4>& large) {
    for (std::int64_t c = 0; c < windows.channels; ++c) {
      small_map[small + c] = large_map[large[which[small + c]] + c];
    }
  });
}

template <typename F>
void with_element_type(const at::Tensor& x, const F& f) {
  switch (x.scalar_type()) {
    case at::kFloat:
      return f(static_cast<float*>(nullptr));
    case at::kDouble:
      return f(static_cast<double*>(nullptr));
    case at::kBFloat16:
      return f(static_cast<Bfloat16Bits*>(nullptr));
    default:
      fail("pool: {} is not supported, use float32, float64 or bfloat16", c10::toString(x.scalar_type()));
  }
}

template <typename T>
T* data_of(const at::Tensor& x) {
  return static_cast<T*>(x.mutable_data_ptr());
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
    with_element_type(x, [&]<typename T>(T* /*type*/) {
      scatter(Windows(x), data_of<T>(x), data_of<std::uint8_t>(which), data_of<T>(large));
    });
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
    with_element_type(x, [&]<typename T>(T* /*type*/) {
      gather(Windows(small), data_of<T>(x), data_of<std::uint8_t>(which), data_of<T>(small));
    });
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
      with_element_type(x, [&]<typename T>(T* /*type*/) {
        pool(Windows(pooled.values), data_of<T>(x), data_of<T>(pooled.values), data_of<std::uint8_t>(pooled.which));
      });
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
  const variable_list both = PoolFunction::apply(x_nchw);
  return {both[0], both[1]};
}

at::Tensor unpool_2x2(const at::Tensor& x_nchw, const at::Tensor& which_nchw) {
  check(x_nchw.sizes() == which_nchw.sizes(), "unpool: values {} and places {} disagree",
        fmt::join(x_nchw.sizes(), " x "), fmt::join(which_nchw.sizes(), " x "));
  check(which_nchw.scalar_type() == at::kByte, "unpool: places are uint8, found {}",
        c10::toString(which_nchw.scalar_type()));
  return UnpoolFunction::apply(x_nchw, in_channels_last(which_nchw));
}

}  // namespace xtasc::kernels
