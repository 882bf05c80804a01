#include "model/batch_norm_kernels.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/cuda_forms.hpp"
#include "core/multiversion.hpp"
#include "model/batch_norm_by_elements.hpp"
#include "model/batch_norm_element.hpp"

namespace xtasc::model {

namespace {

// ---- loop bodies over rows x channels, channels innermost
// ------------------------------------------------------------

/// Channels that are summed together in registers, and rows that stay in the cache meanwhile.
constexpr std::int64_t kLanes = 32;
constexpr std::int64_t kRowBlock = 32;

/// sum[c] += value(r, c), dot[c] += value(r, c) * x(r, c): a block of rows in Real, the blocks in double.
/// \param value  (index, channel) -> Real
template <typename T, typename Value>
XTASC_INLINE void sum_rows(const T* x, std::int64_t rows, std::int64_t channels, double* sum, double* dot,
                           const Value& value) {
  for (std::int64_t block = 0; block < rows; block += kRowBlock) {
    const std::int64_t end = std::min(rows, block + kRowBlock);
    std::int64_t first = 0;
    for (; first + kLanes <= channels; first += kLanes) {
      std::array<Real<T>, kLanes> s{};
      std::array<Real<T>, kLanes> d{};
      for (std::int64_t row = block; row < end; ++row) {
        for (std::int64_t lane = 0; lane < kLanes; ++lane) {
          const std::int64_t at = row * channels + first + lane;
          const Real<T> v = value(at, first + lane);
          s[static_cast<std::size_t>(lane)] += v;
          d[static_cast<std::size_t>(lane)] += v * load_element(x + at);
        }
      }
      for (std::int64_t lane = 0; lane < kLanes; ++lane) {
        sum[first + lane] += static_cast<double>(s[static_cast<std::size_t>(lane)]);
        dot[first + lane] += static_cast<double>(d[static_cast<std::size_t>(lane)]);
      }
    }
    for (std::int64_t row = block; row < end; ++row) {
      for (std::int64_t channel = first; channel < channels; ++channel) {
        const std::int64_t at = row * channels + channel;
        const auto v = static_cast<double>(value(at, channel));
        sum[channel] += v;
        dot[channel] += v * static_cast<double>(load_element(x + at));
      }
    }
  }
}

template <typename T, bool kRelu>
XTASC_INLINE void sums_of_gradient_body(const NormInput<T>& in, std::int64_t rows, std::int64_t channels, double* sum,
                                        double* dot) {
  sum_rows(in.x, rows, channels, sum, dot,
           [grad_y = in.grad_y, x = in.x, scale = in.scale, shift = in.shift](std::int64_t at, std::int64_t channel)
               XTASC_INLINE_LAMBDA {
                 return gated<kRelu>(load_element(grad_y + at), load_element(x + at), scale[channel], shift[channel]);
               });
}

template <typename T, bool kRelu>
XTASC_INLINE void scale_shift_body(const T* __restrict x, const Real<T>* __restrict scale,
                                   const Real<T>* __restrict shift, std::int64_t rows, std::int64_t channels,
                                   T* __restrict y) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t channel = 0; channel < channels; ++channel) {
      const std::int64_t at = row * channels + channel;
      const Real<T> of_x = load_element(x + at);
      store_element(y + at, scaled_and_shifted<kRelu>(of_x, scale[channel], shift[channel]));
    }
  }
}

template <typename T, bool kRelu>
XTASC_INLINE void gradient_of_x_body(const T* __restrict grad_y, const T* __restrict x, const Real<T>* __restrict scale,
                                     const Real<T>* __restrict shift, const Real<T>* __restrict a,
                                     const Real<T>* __restrict b, const Real<T>* __restrict c, std::int64_t rows,
                                     std::int64_t channels, T* __restrict grad_x) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t channel = 0; channel < channels; ++channel) {
      const std::int64_t at = row * channels + channel;
      const Real<T> of_x = load_element(x + at);
      const Real<T> g = gated<kRelu>(load_element(grad_y + at), of_x, scale[channel], shift[channel]);
      store_element(grad_x + at, gradient_element(g, of_x, a[channel], b[channel], c[channel]));
    }
  }
}

// ---- one multiversioned function a type: the bodies are inlined into each clone
// --------------------------------------

#define XTASC_FOR_TYPE(T)                                                                                             \
  XTASC_MULTIVERSION void sums_of_x_rows(const T* x, std::int64_t rows, std::int64_t channels, double* sum,           \
                                         double* dot) {                                                               \
    sum_rows(x, rows, channels, sum, dot,                                                                             \
             [x](std::int64_t at, std::int64_t) XTASC_INLINE_LAMBDA { return load_element(x + at); });                \
  }                                                                                                                   \
  XTASC_MULTIVERSION void scale_shift_rows(const T* x, const Real<T>* scale, const Real<T>* shift, bool relu,         \
                                           std::int64_t rows, std::int64_t channels, T* y) {                          \
    relu ? scale_shift_body<T, true>(x, scale, shift, rows, channels, y)                                              \
         : scale_shift_body<T, false>(x, scale, shift, rows, channels, y);                                            \
  }                                                                                                                   \
  XTASC_MULTIVERSION void sums_of_gradient_rows(const NormInput<T>& in, bool relu, std::int64_t rows,                 \
                                                std::int64_t channels, double* sum, double* dot) {                    \
    relu ? sums_of_gradient_body<T, true>(in, rows, channels, sum, dot)                                               \
         : sums_of_gradient_body<T, false>(in, rows, channels, sum, dot);                                             \
  }                                                                                                                   \
  XTASC_MULTIVERSION void gradient_of_x_rows(const NormInput<T>& in, bool relu, const Real<T>* a, const Real<T>* b,   \
                                             const Real<T>* c, std::int64_t rows, std::int64_t channels, T* grad_x) { \
    relu ? gradient_of_x_body<T, true>(in.grad_y, in.x, in.scale, in.shift, a, b, c, rows, channels, grad_x)          \
         : gradient_of_x_body<T, false>(in.grad_y, in.x, in.scale, in.shift, a, b, c, rows, channels, grad_x);        \
  }

XTASC_FOR_TYPE(float)
XTASC_FOR_TYPE(double)
XTASC_FOR_TYPE(Bfloat16Bits)
#undef XTASC_FOR_TYPE

// ---- from tensors to rows
// --------------------------------------------------------------------------------------------

struct Extent {
  std::int64_t rows, channels;
};

Extent extent_of(const at::Tensor& x) {
  return {x.size(0) * x.size(2) * x.size(3), x.size(1)};
}

template <typename T>
const T* pointer(const at::Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

/// Calls f with a value of the type that holds the tensor's elements.
template <typename F>
void with_type(const at::Tensor& tensor, const F& f) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return f(float{});
    case at::kDouble:
      return f(double{});
    case at::kBFloat16:
      return f(Bfloat16Bits{});
    default:
      TORCH_CHECK(false, "batch norm of ", tensor.scalar_type());
  }
}

constexpr std::int64_t kRowsPerThread = 256;

/// Sums by thread, then over the threads in order: the same bits for the same number of threads.
template <typename Rows>
ChannelSums sum_in_threads(const Extent& extent, const Rows& sum_rows_of) {
  const std::int64_t chunks = std::clamp<std::int64_t>(extent.rows / kRowsPerThread, 1, at::get_num_threads());
  const at::Tensor partial = at::zeros({chunks, 2, extent.channels}, at::kDouble);
  auto* data = partial.mutable_data_ptr<double>();
  at::parallel_for(0, chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      const std::int64_t first = extent.rows * chunk / chunks;
      const std::int64_t last = extent.rows * (chunk + 1) / chunks;
      double* sums = data + chunk * 2 * extent.channels;
      sum_rows_of(first * extent.channels, last - first, sums, sums + extent.channels);
    }
  });
  const at::Tensor total = partial.sum(0);
  return {total[0], total[1]};
}

template <typename Rows>
void for_rows(const Extent& extent, const Rows& rows) {
  at::parallel_for(0, extent.rows, kRowsPerThread,
                   [&](std::int64_t begin, std::int64_t end) { rows(begin * extent.channels, end - begin); });
}

at::Tensor by_channel(const at::Tensor& c) {
  return c.view({1, -1, 1, 1});
}

/// The gradient through the ReLU, in tensor operations, in float32 or wider.
at::Tensor gate(const at::Tensor& grad_y, const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                bool relu) {
  const auto wide = scale.scalar_type();
  if (!relu) {
    return grad_y.to(wide);
  }
  const at::Tensor pre_activation = x.to(wide) * by_channel(scale) + by_channel(shift);
  return at::where(pre_activation > 0, grad_y.to(wide), at::zeros({}, scale.options()));
}

}  // namespace

ChannelSums sums_of_x(const at::Tensor& x) {
  if (takes_cuda_form(x)) {
    return by_elements::sums_of_x(x);
  }
  if (!x.is_cpu()) {
    const at::Tensor wide = x.to(at::kDouble);
    return {wide.sum({0, 2, 3}), (wide * wide).sum({0, 2, 3})};
  }
  const Extent extent = extent_of(x);
  ChannelSums sums;
  with_type(x, [&](auto type) {
    using T = decltype(type);
    sums = sum_in_threads(extent, [&](std::int64_t offset, std::int64_t rows, double* sum, double* dot) {
      sums_of_x_rows(pointer<T>(x) + offset, rows, extent.channels, sum, dot);
    });
  });
  return sums;
}

at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift, bool relu) {
  if (takes_cuda_form(x)) {
    return by_elements::scale_shift(x, scale, shift, relu);
  }
  if (!x.is_cpu()) {
    const at::Tensor y = x.to(scale.scalar_type()) * by_channel(scale) + by_channel(shift);
    return (relu ? y.relu() : y).to(x.scalar_type());
  }
  const Extent extent = extent_of(x);
  at::Tensor y = at::empty_like(x);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    for_rows(extent, [&](std::int64_t offset, std::int64_t rows) {
      const auto* in = pointer<T>(x) + offset;
      auto* out = static_cast<T*>(y.mutable_data_ptr()) + offset;
      scale_shift_rows(in, pointer<Real<T>>(scale), pointer<Real<T>>(shift), relu, rows, extent.channels, out);
    });
  });
  return y;
}

ChannelSums sums_of_gradient(const at::Tensor& grad_y, const at::Tensor& x, const at::Tensor& scale,
                             const at::Tensor& shift, bool relu) {
  if (takes_cuda_form(x)) {
    return by_elements::sums_of_gradient(grad_y, x, scale, shift, relu);
  }
  if (!x.is_cpu()) {
    const at::Tensor g = gate(grad_y, x, scale, shift, relu).to(at::kDouble);
    return {g.sum({0, 2, 3}), (g * x.to(at::kDouble)).sum({0, 2, 3})};
  }
  const Extent extent = extent_of(x);
  ChannelSums sums;
  with_type(x, [&](auto type) {
    using T = decltype(type);
    sums = sum_in_threads(extent, [&](std::int64_t offset, std::int64_t rows, double* sum, double* dot) {
      const NormInput<T> in = {pointer<T>(grad_y) + offset, pointer<T>(x) + offset, pointer<Real<T>>(scale),
                               pointer<Real<T>>(shift)};
      sums_of_gradient_rows(in, relu, rows, extent.channels, sum, dot);
    });
  });
  return sums;
}

at::Tensor gradient_of_x(const at::Tensor& grad_y, const at::Tensor& x, const at::Tensor& scale,
                         const at::Tensor& shift, bool relu, const at::Tensor& a, const at::Tensor& b,
                         const at::Tensor& c) {
  if (takes_cuda_form(x)) {
    return by_elements::gradient_of_x(grad_y, x, scale, shift, relu, a, b, c);
  }
  if (!x.is_cpu()) {
    const at::Tensor g = gate(grad_y, x, scale, shift, relu);
    return (g * by_channel(a) + x.to(a.scalar_type()) * by_channel(b) + by_channel(c)).to(x.scalar_type());
  }
  const Extent extent = extent_of(x);
  at::Tensor grad_x = at::empty_like(x);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    for_rows(extent, [&](std::int64_t offset, std::int64_t rows) {
      const NormInput<T> in = {pointer<T>(grad_y) + offset, pointer<T>(x) + offset, pointer<Real<T>>(scale),
                               pointer<Real<T>>(shift)};
      auto* out = static_cast<T*>(grad_x.mutable_data_ptr()) + offset;
      gradient_of_x_rows(in, relu, pointer<Real<T>>(a), pointer<Real<T>>(b), pointer<Real<T>>(c), rows, extent.channels,
                         out);
    });
  });
  return grad_x;
}

}  // namespace xtasc::model
