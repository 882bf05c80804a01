#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.hpp"

/// The losses of one pixel and their gradients, all tasks at once: compiled for the CPU and, by nvcc, for the GPU, so
/// that the CPU's tests run the very code that a GPU would.

namespace xtasc::kernels {

/// Of a depth error d in config::DepthLoss's order; cross entropy of classes.
enum class PointError : std::int32_t { l1, mse, log_l1, smooth_l1, cross_entropy };

/// As many as four tasks with all their transfers have; a kernel's argument holds them.
constexpr std::int32_t kMaxFusedTerms = 16;
constexpr std::int32_t kMaxFusedTargets = 4;

/// What predictions of one task are held to, (N, H, W, C) or (N, H, W) in memory.
template <typename T>
struct FusedTarget {
  const std::int64_t* label = nullptr;  ///< of a task of classes, else null
  const T* truth = nullptr;             ///< of any other: 0 = unknown
  const T* direct = nullptr;            ///< the direct prediction; null where nothing is held to it
  std::int32_t channels = 1;            ///< of the prediction
};

template <typename T>
struct FusedTerm {
  const T* prediction = nullptr;
  std::int32_t target = 0;
  PointError error = PointError::l1;
  bool holds_to_direct = false;
};

/// Predictions and targets of a batch.
template <typename T>
struct FusedInputs {
  FusedTarget<T> targets[kMaxFusedTargets];
  FusedTerm<T> terms[kMaxFusedTerms];
  std::int32_t num_targets = 0;
  std::int32_t num_terms = 0;
  std::int32_t width = 0;
  std::int64_t num_rows = 0;  ///< N * H

  /// What a row of pixels adds up to: a sum a term, then the counted values of each target.
  [[nodiscard]] XTASC_HOST_DEVICE std::int32_t num_sums() const { return num_terms + num_targets; }
};
constexpr std::int32_t kMaxFusedSums = kMaxFusedTerms + kMaxFusedTargets;

/// Gradients of the terms' predictions, laid out as they are; null where none is wanted.
template <typename T>
struct FusedGradients {
  T* of_term[kMaxFusedTerms] = {};
};

template <typename T>
XTASC_HOST_DEVICE inline T point_error(PointError kind, T d) {
  const T magnitude = d < T(0) ? -d : d;
  switch (kind) {
    case PointError::mse:
      return d * d;
    case PointError::log_l1:
      return std::log1p(magnitude);
    case PointError::smooth_l1:
      return magnitude < T(1) ? T(0.5) * d * d : magnitude - T(0.5);
    default:
      return magnitude;
  }
}

template <typename T>
XTASC_HOST_DEVICE inline T point_error_gradient(PointError kind, T d) {
  const T sign = d > T(0) ? T(1) : (d < T(0) ? T(-1) : d);  // 0 and NaN stay what they are
  switch (kind) {
    case PointError::mse:
      return T(2) * d;
    case PointError::log_l1:
      return sign / (T(1) + (d < T(0) ? -d : d));
    case PointError::smooth_l1:
      return sign * d < T(1) ? d : sign;
    default:
      return sign;
  }
}

/// log sum_c exp x_c = largest + log_of_sum, found without overflow.
template <typename T>
struct LogSumExp {
  T largest, sum;
};

template <typename T>
XTASC_HOST_DEVICE inline LogSumExp<T> log_sum_exp(const T* logits, std::int32_t num_classes) {
  T largest = logits[0];
  for (std::int32_t c = 1; c < num_classes; ++c) {
    largest = logits[c] > largest ? logits[c] : largest;
  }
  T sum = T(0);
  for (std::int32_t c = 0; c < num_classes; ++c) {
    sum += std::exp(logits[c] - largest);
  }
  return {largest, sum};
}

template <typename T>
XTASC_HOST_DEVICE inline T cross_entropy_of(const T* logits, std::int32_t num_classes, std::int64_t target) {
  const LogSumExp<T> all = log_sum_exp(logits, num_classes);
  return std::log(all.sum) - (logits[target] - all.largest);
}

template <typename T>
XTASC_HOST_DEVICE inline void cross_entropy_gradient(const T* logits, std::int32_t num_classes, std::int64_t target,
                                                     T factor, T* gradient) {
  const LogSumExp<T> all = log_sum_exp(logits, num_classes);
  for (std::int32_t c = 0; c < num_classes; ++c) {
    gradient[c] = factor * (std::exp(logits[c] - all.largest) / all.sum - (c == target ? T(1) : T(0)));
  }
}

/// The first of the largest.
template <typename T>
XTASC_HOST_DEVICE inline std::int64_t arg_max(const T* logits, std::int32_t num_classes) {
  std::int32_t best = 0;
  for (std::int32_t c = 1; c < num_classes; ++c) {
    best = logits[c] > logits[best] ? c : best;
  }
  return best;
}

/// What a pixel's predictions of a task of classes are held to.
struct PixelLabels {
  std::int64_t truth;   ///< below 0: none
  std::int64_t direct;  ///< the best class of the direct prediction, where something is held to that
};

template <typename T>
XTASC_HOST_DEVICE inline PixelLabels labels_of(const FusedTarget<T>& target, std::int64_t pixel) {
  PixelLabels labels{-1, -1};
  const std::int64_t label = target.label[pixel];
  if (label >= 0 && label < target.channels) {
    labels.truth = label;
    labels.direct =
        target.direct == nullptr ? label : arg_max(target.direct + pixel * target.channels, target.channels);
  }
  return labels;
}

/// Adds a pixel's losses and counts to the sums of its row. \param sums  (num_sums())
template <typename T>
XTASC_HOST_DEVICE inline void add_pixel_losses(const FusedInputs<T>& in, std::int64_t pixel, double* sums) {
  for (std::int32_t k = 0; k < in.num_targets; ++k) {
    const FusedTarget<T>& target = in.targets[k];
    double* count = sums + in.num_terms + k;
    if (target.label != nullptr) {
      const PixelLabels labels = labels_of(target, pixel);
      if (labels.truth < 0) {
        continue;
      }
      *count += 1.0;
      for (std::int32_t i = 0; i < in.num_terms; ++i) {
        const FusedTerm<T>& term = in.terms[i];
        if (term.target == k) {
          sums[i] += static_cast<double>(cross_entropy_of(term.prediction + pixel * target.channels, target.channels,
                                                          term.holds_to_direct ? labels.direct : labels.truth));
        }
      }
      continue;
    }
    for (std::int64_t at = pixel * target.channels; at < (pixel + 1) * target.channels; ++at) {
      const T truth = target.truth[at];
      if (!(truth > T(0))) {
        continue;
      }
      *count += 1.0;
      for (std::int32_t i = 0; i < in.num_terms; ++i) {
        const FusedTerm<T>& term = in.terms[i];
        if (term.target == k) {
          sums[i] += static_cast<double>(
              point_error(term.error, term.prediction[at] - (term.holds_to_direct ? target.direct[at] : truth)));
        }
      }
    }
  }
}

/// Writes the gradients of a pixel's predictions; what they are held to takes none.
/// \param factors  (num_terms): of the term's loss in the end
template <typename T>
XTASC_HOST_DEVICE inline void write_pixel_gradients(const FusedInputs<T>& in, std::int64_t pixel, const T* factors,
                                                    const FusedGradients<T>& out) {
  for (std::int32_t k = 0; k < in.num_targets; ++k) {
    const FusedTarget<T>& target = in.targets[k];
    const std::int64_t first = pixel * target.channels;
    const PixelLabels labels = target.label != nullptr ? labels_of(target, pixel) : PixelLabels{-1, -1};
    for (std::int32_t i = 0; i < in.num_terms; ++i) {
      const FusedTerm<T>& term = in.terms[i];
      T* gradient = out.of_term[i];
      if (term.target != k || gradient == nullptr) {
        continue;
      }
      if (target.label != nullptr && labels.truth >= 0) {
        cross_entropy_gradient(term.prediction + first, target.channels,
                               term.holds_to_direct ? labels.direct : labels.truth, factors[i], gradient + first);
        continue;
      }
      for (std::int64_t at = first; at < first + target.channels; ++at) {
        const bool is_counted = target.label == nullptr && target.truth[at] > T(0);
        gradient[at] =
            is_counted ? factors[i] * point_error_gradient(
                                          term.error, term.prediction[at] -
                                                          (term.holds_to_direct ? target.direct[at] : target.truth[at]))
                       : T(0);
      }
    }
  }
}

}  // namespace xtasc::kernels
