#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.hpp"

/// What batch norm computes for each channel from its sums, for the CPU's loops and the GPU's threads. All in float64;
/// results that element functions read are rounded to S, float32, or float64 when x is.

namespace xtasc::kernels {

constexpr double kNormEpsilon = 1e-5;
constexpr double kNormMomentum = 0.1;

/// How many values of a channel were summed: known to the host, or, once ranks have added theirs, to the device alone.
struct NormCount {
  double value;
  const double* global = nullptr;
  [[nodiscard]] XTASC_HOST_DEVICE double get() const { return global == nullptr ? value : *global; }
};

/// Writes a channel's sums to where ranks add theirs: sum (C), dot (C), count.
struct KeepNormSums {
  double* sums;
  std::int64_t channels;
  double count;

  XTASC_HOST_DEVICE void operator()(std::int64_t c, double sum, double dot) const {
    sums[c] = sum;
    sums[channels + c] = dot;
    if (c == 0) {
      sums[2 * channels] = count;
    }
  }
};

/// Statistics of the global batch, and what y = x * scale + shift needs. Arrays of (C).
template <typename S>
struct FinishNorm {
  NormCount count;
  const S* weight;
  const S* bias;
  const S* bias_of_x;  ///< of the convolution in front, which has not added it to x; null without one
  S* running_mean;     ///< null: the running statistics are left alone
  S* running_var;
  double* mean;  ///< of x as it is, without bias_of_x
  double* inverse_deviation;
  S* scale;
  S* shift;

  XTASC_HOST_DEVICE void operator()(std::int64_t c, double sum, double dot) const {
    const double n = count.get();
    const double m = sum / n;
    const double difference = dot / n - m * m;
    const double variance = difference < 0.0 ? 0.0 : difference;  // NaN stays NaN
    const double inverse = 1.0 / sqrt(variance + kNormEpsilon);
    const double factor = static_cast<double>(weight[c]) * inverse;
    mean[c] = m;
    inverse_deviation[c] = inverse;
    scale[c] = static_cast<S>(factor);
    shift[c] = static_cast<S>(static_cast<double>(bias[c]) - m * factor);
    if (running_mean != nullptr) {
      const double seen = bias_of_x == nullptr ? m : m + static_cast<double>(bias_of_x[c]);
      move(running_mean + c, static_cast<S>(seen));
      move(running_var + c, static_cast<S>(variance * n / (n - 1.0)));
    }
  }

  /// As at::lerp_, which rounds once.
  XTASC_HOST_DEVICE static void move(S* running, S value) {
    using std::fma;
    *running = fma(static_cast<S>(kNormMomentum), value - *running, *running);
  }
};

/// This rank's share of the gradients of weight and bias, added to what is there, (C). Nothing where null.
template <typename S>
struct NormParameterGradients {
  const double* mean;
  const double* inverse_deviation;
  S* weight;
  S* bias;

  XTASC_HOST_DEVICE void operator()(std::int64_t c, double sum, double dot) const {
    if (weight != nullptr) {
      weight[c] += static_cast<S>((dot - sum * mean[c]) * inverse_deviation[c]);
      bias[c] += static_cast<S>(sum);
    }
  }
};

/// The gradient of a bias, added to what is there, (C): the sum of the gradients of all it was added to.
template <typename S>
struct AddBiasGradient {
  S* bias;

  XTASC_HOST_DEVICE void operator()(std::int64_t c, double sum, double /*dot*/) const {
    bias[c] += static_cast<S>(sum);
  }
};

/// The factors of the gradient of x = g * a + x * b + c, from the sums of all ranks: every image moved the mean and the
/// variance.
template <typename S>
struct FinishNormGradient {
  NormCount count;
  const double* mean;
  const double* inverse_deviation;
  const S* weight;
  S* a;
  S* b;
  S* c;

  XTASC_HOST_DEVICE void operator()(std::int64_t channel, double sum, double dot) const {
    const double n = count.get();
    const double m = mean[channel];
    const double inverse = inverse_deviation[channel];
    const double of_g = static_cast<double>(weight[channel]) * inverse;
    const double normalised_dot = (dot - sum * m) * inverse / n;
    const double of_x = -of_g * inverse * normalised_dot;
    a[channel] = static_cast<S>(of_g);
    b[channel] = static_cast<S>(of_x);
    c[channel] = static_cast<S>(-of_g * sum / n - of_x * m);
  }
};

/// One after the other on the same sums.
template <typename First, typename Second>
struct BothOfNorm {
  First first;
  Second second;

  XTASC_HOST_DEVICE void operator()(std::int64_t c, double sum, double dot) const {
    first(c, sum, dot);
    second(c, sum, dot);
  }
};

}  // namespace xtasc::kernels
