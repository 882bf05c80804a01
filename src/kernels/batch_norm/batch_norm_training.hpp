#pragma once

#include <ATen/ATen.h>

#include "core/error.hpp"
#include "kernels/batch_norm/batch_norm_channel.hpp"
#include "kernels/batch_norm/batch_norm_element.hpp"
#include "kernels/batch_norm/batch_norm_passes.hpp"

/// What comes before and after batch norm's sums, once for all devices. `Loops` makes them:
///
///     Loops::sum<T>(NormOperands, SumOf, finish)   finish(channel, sum, dot) for each channel's sums over this rank
///     Loops::for_channels(sums, finish)            the same for sums (2C + 1) that all ranks have added up

namespace xtasc::kernels {

template <typename S>
S* norm_pointer(const at::Tensor& by_channel) {
  return by_channel.defined() ? static_cast<S*>(by_channel.mutable_data_ptr()) : nullptr;
}

/// Calls f with a null pointer to the type that holds the elements of x.
template <typename F>
void with_norm_type(const at::Tensor& x, const F& f) {
  switch (x.scalar_type()) {
    case at::kFloat:
      return f(static_cast<float*>(nullptr));
    case at::kDouble:
      return f(static_cast<double*>(nullptr));
    case at::kBFloat16:
      return f(static_cast<Bfloat16Bits*>(nullptr));
    default:
      fail("batch norm: {} is not supported, use float32, float64 or bfloat16", c10::toString(x.scalar_type()));
  }
}

inline at::ScalarType norm_real_type(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

inline double norm_count(const at::Tensor& x) {
  return static_cast<double>(x.size(0) * x.size(2) * x.size(3));
}

template <typename Loops>
NormStatistics statistics_by(const at::Tensor& x, const NormTensors& norm, const SumOverRanks& sum_over_ranks) {
  const std::int64_t channels = x.size(1);
  const at::Tensor in_64 = at::empty({2, channels}, x.options().dtype(at::kDouble));
  const at::Tensor real = at::empty({2, channels}, x.options().dtype(norm_real_type(x)));
  NormStatistics found = {in_64[0], in_64[1], real[0], real[1], norm_count(x), {}};
  with_norm_type(x, [&]<typename T>(T* /*type*/) {
    using S = Real<T>;
    FinishNorm<S> finish = {.count = {found.local_count},
                            .weight = norm_pointer<S>(norm.weight),
                            .bias = norm_pointer<S>(norm.bias),
                            .bias_of_x = norm_pointer<S>(norm.bias_of_x),
                            .running_mean = norm_pointer<S>(norm.running_mean),
                            .running_var = norm_pointer<S>(norm.running_var),
                            .mean = norm_pointer<double>(found.mean),
                            .inverse_deviation = norm_pointer<double>(found.inverse_deviation),
                            .scale = norm_pointer<S>(found.scale),
                            .shift = norm_pointer<S>(found.shift)};
    if (!sum_over_ranks) {
      Loops::template sum<T>({{}, x, {}, {}}, SumOf::x, finish);
      return;
    }
    const at::Tensor sums = at::empty({2 * channels + 1}, in_64.options());
    Loops::template sum<T>({{}, x, {}, {}}, SumOf::x,
                           KeepNormSums{norm_pointer<double>(sums), channels, found.local_count});
    sum_over_ranks(sums);
    found.global_count = sums.narrow(0, 2 * channels, 1);
    finish.count.global = norm_pointer<double>(found.global_count);
    Loops::for_channels(sums, finish);
  });
  return found;
}

template <typename Loops>
NormGradientFactors gradient_factors_by(const NormOperands& in, const NormStatistics& statistics,
                                        const at::Tensor& weight, const NormGradients& gradients, bool relu,
                                        const SumOverRanks& sum_over_ranks) {
  const std::int64_t channels = in.x.size(1);
  const at::Tensor abc = at::empty({3, channels}, in.x.options().dtype(norm_real_type(in.x)));
  const SumOf of = relu ? SumOf::gated_gradient : SumOf::gradient;
  with_norm_type(in.x, [&]<typename T>(T* /*type*/) {
    using S = Real<T>;
    const auto* mean = norm_pointer<double>(statistics.mean);
    const auto* inverse_deviation = norm_pointer<double>(statistics.inverse_deviation);
    const NormParameterGradients<S> own = {mean, inverse_deviation, norm_pointer<S>(gradients.weight),
                                           norm_pointer<S>(gradients.bias)};
    const FinishNormGradient<S> finish = {
        .count = {statistics.local_count, norm_pointer<double>(statistics.global_count)},
        .mean = mean,
        .inverse_deviation = inverse_deviation,
        .weight = norm_pointer<S>(weight),
        .a = norm_pointer<S>(abc[0]),
        .b = norm_pointer<S>(abc[1]),
        .c = norm_pointer<S>(abc[2])};
    if (!sum_over_ranks) {
      Loops::template sum<T>(in, of, BothOfNorm<NormParameterGradients<S>, FinishNormGradient<S>>{own, finish});
      return;
    }
    const at::Tensor sums = at::empty({2 * channels + 1}, statistics.mean.options());
    const KeepNormSums keep = {norm_pointer<double>(sums), channels, 0.0};
    Loops::template sum<T>(in, of, BothOfNorm<KeepNormSums, NormParameterGradients<S>>{keep, own});
    sum_over_ranks(sums);
    Loops::for_channels(sums, finish);
  });
  return {abc[0], abc[1], abc[2]};
}

}  // namespace xtasc::kernels
