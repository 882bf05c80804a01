#include "kernels/batch_norm/batch_norm_passes.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/cuda_forms.hpp"
#include "core/multiversion.hpp"
#include "kernels/batch_norm/batch_norm_by_elements.hpp"
#include "kernels/batch_norm/batch_norm_training.hpp"
#include "kernels/recorded.hpp"

namespace xtasc::kernels {

namespace {

// ---- loop bodies over rows x channels, channels innermost
// ------------------------------------------------------------

/// Channels that are summed together in registers, and rows that stay in the cache meanwhile.
constexpr std::int64_t kLanes = 32;
constexpr std::int64_t kRowBlock = 32;

/// sum[c] += value(r, c), dot[c] += value(r, c) * x(r, c): a block of rows in Real, the blocks in double; or all of it
/// in double. \param value  (index, channel) -> Real
template <typename T, typename Value>
XTASC_INLINE void sum_rows(const T* x, std::int64_t rows, std::int64_t channels, bool all_in_double, double* sum,
                           double* dot, const Value& value) {
  const std::int64_t in_lanes = all_in_double ? 0 : channels / kLanes * kLanes;
  for (std::int64_t block = 0; block < rows; block += kRowBlock) {
    const std::int64_t end = std::min(rows, block + kRowBlock);
    for (std::int64_t first = 0; first < in_lanes; first += kLanes) {
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
      for (std::int64_t channel = in_lanes; channel < channels; ++channel) {
        const std::int64_t at = row * channels + channel;
        const auto v = static_cast<double>(value(at, channel));
        sum[channel] += v;
        dot[channel] += v * static_cast<double>(load_element(x + at));
      }
    }
  }
}

template <typename T, bool kRelu>
XTASC_INLINE void sums_of_gradient_body(const NormInput<T>& in, std::int64_t rows, std::int64_t channels,
                                        bool all_in_double, double* sum, double* dot) {
  sum_rows(in.x, rows, channels, all_in_double, sum, dot,
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

#define XTASC_FOR_TYPE(T)                                                                                              \
  XTASC_MULTIVERSION void sums_of_x_rows(const T* x, std::int64_t rows, std::int64_t channels, bool all_in_double,     \
                                         double* sum, double* dot) {                                                   \
    sum_rows(x, rows, channels, all_in_double, sum, dot,                                                               \
             [x](std::int64_t at, std::int64_t) XTASC_INLINE_LAMBDA { return load_element(x + at); });                 \
  }                                                                                                                    \
  XTASC_MULTIVERSION void scale_shift_rows(const T* x, const Real<T>* scale, const Real<T>* shift, bool relu,          \
                                           std::int64_t rows, std::int64_t channels, T* y) {                           \
    relu ? scale_shift_body<T, true>(x, scale, shift, rows, channels, y)                                               \
         : scale_shift_body<T, false>(x, scale, shift, rows, channels, y);                                             \
  }                                                                                                                    \
  XTASC_MULTIVERSION void sums_of_gradient_rows(const NormInput<T>& in, bool relu, std::int64_t rows,                  \
                                                std::int64_t channels, bool all_in_double, double* sum, double* dot) { \
    relu ? sums_of_gradient_body<T, true>(in, rows, channels, all_in_double, sum, dot)                                 \
         : sums_of_gradient_body<T, false>(in, rows, channels, all_in_double, sum, dot);                               \
  }                                                                                                                    \
  XTASC_MULTIVERSION void gradient_of_x_rows(const NormInput<T>& in, bool relu, const Real<T>* a, const Real<T>* b,    \
                                             const Real<T>* c, std::int64_t rows, std::int64_t channels, T* grad_x) {  \
    relu ? gradient_of_x_body<T, true>(in.grad_y, in.x, in.scale, in.shift, a, b, c, rows, channels, grad_x)           \
         : gradient_of_x_body<T, false>(in.grad_y, in.x, in.scale, in.shift, a, b, c, rows, channels, grad_x);         \
  }

XTASC_FOR_TYPE(float)
XTASC_FOR_TYPE(double)
XTASC_FOR_TYPE(Bfloat16Bits)
#undef XTASC_FOR_TYPE

// ---- from tensors to rows
// --------------------------------------------------------------------------------------------

struct Extent {
  std::int64_t rows, channels;
  bool one_pixel;  ///< of each image: its mean, as DeepLab norms them, which may be so nearly equal that a float's
                   ///< squares lose their variance
};

Extent extent_of(const at::Tensor& x) {
  const std::int64_t pixels = x.size(2) * x.size(3);
  return {x.size(0) * pixels, x.size(1), pixels == 1};
}

template <typename T>
const T* pointer(const at::Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

constexpr std::int64_t kRowsPerThread = 256;

/// (2C): sums by thread, then over the threads in order: the same bits for the same number of threads.
template <typename Rows>
at::Tensor sum_in_threads(const Extent& extent, const Rows& sum_rows_of) {
  const std::int64_t chunks = std::clamp<std::int64_t>(extent.rows / kRowsPerThread, 1, at::get_num_threads());
  const at::Tensor partial = at::zeros({chunks, 2 * extent.channels}, at::kDouble);
  auto* data = partial.mutable_data_ptr<double>();
  at::parallel_for(0, chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      const std::int64_t first = extent.rows * chunk / chunks;
      const std::int64_t last = extent.rows * (chunk + 1) / chunks;
      double* sums = data + chunk * 2 * extent.channels;
      sum_rows_of(first * extent.channels, last - first, sums, sums + extent.channels);
    }
  });
  return partial.sum(0);
}

template <typename Rows>
void for_rows(const Extent& extent, const Rows& rows) {
  at::parallel_for(0, extent.rows, kRowsPerThread,
                   [&](std::int64_t begin, std::int64_t end) { rows(begin * extent.channels, end - begin); });
}

template <typename T>
NormInput<T> input_of(const NormOperands& in, std::int64_t offset) {
  const auto from = [offset](const at::Tensor& t) { return t.defined() ? pointer<T>(t) + offset : nullptr; };
  const auto real = [](const at::Tensor& c) { return c.defined() ? pointer<Real<T>>(c) : nullptr; };
  return {from(in.grad_y), from(in.x), real(in.scale), real(in.shift)};
}

/// What batch_norm_training.hpp asks for.
struct Loops {
  template <typename T, typename Finish>
  static void sum(const NormOperands& in, SumOf of, const Finish& finish) {
    const Extent extent = extent_of(in.x);
    for_channels(sum_in_threads(extent,
                                [&](std::int64_t offset, std::int64_t rows, double* sum, double* dot) {
                                  const NormInput<T> input = input_of<T>(in, offset);
                                  if (of == SumOf::x) {
                                    sums_of_x_rows(input.x, rows, extent.channels, extent.one_pixel, sum, dot);
                                  } else {
                                    sums_of_gradient_rows(input, of == SumOf::gated_gradient, rows, extent.channels,
                                                          extent.one_pixel, sum, dot);
                                  }
                                }),
                 finish);
  }

  template <typename Finish>
  static void for_channels(const at::Tensor& sums, const Finish& finish) {
    const std::int64_t channels = sums.numel() / 2;
    const auto* data = sums.const_data_ptr<double>();
    for (std::int64_t c = 0; c < channels; ++c) {
      finish(c, data[c], data[channels + c]);
    }
  }
};

/// Shapes without numbers.
at::Tensor empty_channels(const at::Tensor& x, at::ScalarType type) {
  return at::empty({x.size(1)}, x.options().dtype(type));
}

}  // namespace

NormStatistics statistics_of(const at::Tensor& x, const NormTensors& norm, const SumOverRanks& sum_over_ranks) {
  if (takes_cuda_form(x)) {
    return by_elements::statistics_of(x, norm, sum_over_ranks);
  }
  if (x.is_cpu()) {
    return statistics_by<Loops>(x, norm, sum_over_ranks);
  }
  const at::Tensor in_64 = empty_channels(x, at::kDouble);
  const at::Tensor real = empty_channels(x, norm_real_type(x));
  return {in_64, in_64, real, real, norm_count(x), {}};
}

at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift, bool relu) {
  if (takes_cuda_form(x)) {
    return by_elements::scale_shift(x, scale, shift, relu);
  }
  if (is_recorded()) {
    const at::Tensor y = x * scale.view({1, -1, 1, 1}) + shift.view({1, -1, 1, 1});
    return relu ? y.relu() : y;
  }
  at::Tensor y = at::empty_like(x);
  if (!x.is_cpu()) {
    return y;
  }
  const Extent extent = extent_of(x);
  with_norm_type(x, [&]<typename T>(T* /*type*/) {
    for_rows(extent, [&](std::int64_t offset, std::int64_t rows) {
      const auto* in = pointer<T>(x) + offset;
      auto* out = static_cast<T*>(y.mutable_data_ptr()) + offset;
      scale_shift_rows(in, pointer<Real<T>>(scale), pointer<Real<T>>(shift), relu, rows, extent.channels, out);
    });
  });
  return y;
}

NormGradientFactors gradient_factors(const NormOperands& in, const NormStatistics& statistics, const at::Tensor& weight,
                                     const NormGradients& gradients, bool relu, const SumOverRanks& sum_over_ranks) {
  if (takes_cuda_form(in.x)) {
    return by_elements::gradient_factors(in, statistics, weight, gradients, relu, sum_over_ranks);
  }
  if (in.x.is_cpu()) {
    return gradient_factors_by<Loops>(in, statistics, weight, gradients, relu, sum_over_ranks);
  }
  const at::Tensor factor = empty_channels(in.x, norm_real_type(in.x));
  return {factor, factor, factor};
}

at::Tensor gradient_of_x(const NormOperands& in, bool relu, const NormGradientFactors& factors) {
  if (takes_cuda_form(in.x)) {
    return by_elements::gradient_of_x(in, relu, factors);
  }
  at::Tensor grad_x = at::empty_like(in.x);
  if (!in.x.is_cpu()) {
    return grad_x;
  }
  const Extent extent = extent_of(in.x);
  with_norm_type(in.x, [&]<typename T>(T* /*type*/) {
    using S = Real<T>;
    for_rows(extent, [&](std::int64_t offset, std::int64_t rows) {
      auto* out = static_cast<T*>(grad_x.mutable_data_ptr()) + offset;
      gradient_of_x_rows(input_of<T>(in, offset), relu, pointer<S>(factors.a), pointer<S>(factors.b),
                         pointer<S>(factors.c), rows, extent.channels, out);
    });
  });
  return grad_x;
}

}  // namespace xtasc::kernels
