#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.hpp"

/// The losses of one pixel and their gradients, all tasks at once: compiled for the CPU and, by nvcc, for the GPU, so
/// that the CPU's tests run the very code that a GPU would.

namespace xtasc::kernels {

/// Of a depth error d in config::DepthLoss's order; cross entropy of classes; one minus the cosine of directions.
enum class PointError : std::int32_t { l1, mse, log_l1, smooth_l1, cross_entropy, cosine };

/// What a target is: class ids; numbers, each known where it is above 0; a vector of length 1, known where it is not 0.
enum class TargetKind : std::int32_t { classes, numbers, unit_vector };

/// As many as four tasks with all their transfers have; a kernel's argument holds them.
constexpr std::int32_t kMaxFusedTerms = 16;
constexpr std::int32_t kMaxFusedTargets = 4;

/// What predictions of one task are held to, (N, H, W, C) or (N, H, W) in memory.
template <typename T>
struct FusedTarget {
  TargetKind kind = TargetKind::numbers;
  std::int32_t channels = 1;            ///< of the prediction
  const std::int64_t* label = nullptr;  ///< of a task of classes
  const T* truth = nullptr;             ///< of any other: 0 = unknown
  const T* direct = nullptr;            ///< the direct prediction; null where nothing is held to it
  const std::uint8_t* has = nullptr;    ///< (N): whether an image has labels of the task; null: all have
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
  std::int64_t num_rows = 0;      ///< N * H
  std::int64_t image_pixels = 0;  ///< H * W
  bool has_unlabelled = false;    ///< whether any target tells which images have labels

  /// What a row of pixels adds up to: a sum a term, then of each target the values that are known, and, where these
  /// may differ, those that a prediction is held to its direct one at.
  [[nodiscard]] XTASC_HOST_DEVICE std::int32_t num_sums() const {
    return num_terms + num_targets * (has_unlabelled ? 2 : 1);
  }
};
constexpr std::int32_t kMaxFusedSums = kMaxFusedTerms + 2 * kMaxFusedTargets;

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

/// A vector shorter than this has no direction: it is divided by this instead of its length.
constexpr double kMinVectorLength = 1e-12;

/// Of a vector of `channels` numbers: what it is divided by.
template <typename T>
XTASC_HOST_DEVICE inline T length_of(const T* vector, std::int32_t channels) {
  T square = T(0);
  for (std::int32_t c = 0; c < channels; ++c) {
    square += vector[c] * vector[c];
  }
  const T length = std::sqrt(square);
  return length > T(kMinVectorLength) ? length : T(kMinVectorLength);
}

template <typename T>
XTASC_HOST_DEVICE inline T dot_of(const T* a, const T* b, std::int32_t channels) {
  T sum = T(0);
  for (std::int32_t c = 0; c < channels; ++c) {
    sum += a[c] * b[c];
  }
  return sum;
}

/// 1 - cos of a prediction and what it is held to. \param target_length  what `target` is divided by
template <typename T>
XTASC_HOST_DEVICE inline T cosine_error(const T* prediction, const T* target, T target_length, std::int32_t channels) {
  return T(1) - dot_of(prediction, target, channels) / (length_of(prediction, channels) * target_length);
}

/// Its gradient with respect to the prediction n: -(t - (u.t) u) / |n|, where t and u are the two unit vectors; without
/// the second part where n has no direction.
template <typename T>
XTASC_HOST_DEVICE inline void cosine_gradient(const T* prediction, const T* target, T target_length,
                                              std::int32_t channels, T factor, T* gradient) {
  const T length = length_of(prediction, channels);
  const T cosine = dot_of(prediction, target, channels) / (length * target_length);
  const bool has_direction = length > T(kMinVectorLength);
  for (std::int32_t c = 0; c < channels; ++c) {
    const T along = has_direction ? cosine * (prediction[c] / length) : T(0);
    gradient[c] = factor * (along - target[c] / target_length) / length;
  }
}

/// Whether the image of a pixel has labels of the target's task.
template <typename T>
XTASC_HOST_DEVICE inline bool is_labelled(const FusedInputs<T>& in, const FusedTarget<T>& target, std::int64_t pixel) {
  return target.has == nullptr || target.has[pixel / in.image_pixels] != 0;
}

/// What a pixel's predictions of a task of classes are held to; below 0: nothing.
struct PixelLabels {
  std::int64_t truth;
  std::int64_t direct;  ///< the best class of the direct prediction, where something is held to that
};

template <typename T>
XTASC_HOST_DEVICE inline PixelLabels labels_of(const FusedTarget<T>& target, std::int64_t pixel, bool is_labelled) {
  PixelLabels labels{-1, -1};
  const std::int64_t label = target.label[pixel];
  if (label >= 0 && label < target.channels) {
    labels.truth = label;
    labels.direct = label;
  }
  if (target.direct != nullptr && (labels.truth >= 0 || !is_labelled)) {
    labels.direct = arg_max(target.direct + pixel * target.channels, target.channels);
  }
  return labels;
}

/// Whether a pixel's truth, a vector, is known: it is not 0.
template <typename T>
XTASC_HOST_DEVICE inline bool is_known(const T* truth, std::int32_t channels) {
  bool is_known = false;
  for (std::int32_t c = 0; c < channels; ++c) {
    is_known = is_known || truth[c] != T(0);
  }
  return is_known;
}

/// Adds the counted values of target k at a pixel to the sums of its row: what is known, and what is held to the direct
/// prediction.
template <typename T>
XTASC_HOST_DEVICE inline void add_counts(const FusedInputs<T>& in, std::int32_t k, bool is_known, bool is_held,
                                         double* sums) {
  sums[in.num_terms + k] += is_known ? 1.0 : 0.0;
  if (in.has_unlabelled) {
    sums[in.num_terms + in.num_targets + k] += is_held ? 1.0 : 0.0;
  }
}

/// Adds a pixel's losses and counts to the sums of its row. \param sums  (num_sums())
template <typename T>
XTASC_HOST_DEVICE inline void add_pixel_losses(const FusedInputs<T>& in, std::int64_t pixel, double* sums) {
  for (std::int32_t k = 0; k < in.num_targets; ++k) {
    const FusedTarget<T>& target = in.targets[k];
    const bool labelled = is_labelled(in, target, pixel);
    const std::int64_t first = pixel * target.channels;
    if (target.kind == TargetKind::classes) {
      const PixelLabels labels = labels_of(target, pixel, labelled);
      add_counts(in, k, labels.truth >= 0, labels.direct >= 0, sums);
      for (std::int32_t i = 0; i < in.num_terms; ++i) {
        const FusedTerm<T>& term = in.terms[i];
        const std::int64_t label = term.holds_to_direct ? labels.direct : labels.truth;
        if (term.target == k && label >= 0) {
          sums[i] += static_cast<double>(cross_entropy_of(term.prediction + first, target.channels, label));
        }
      }
      continue;
    }
    if (target.kind == TargetKind::unit_vector) {
      const bool known = is_known(target.truth + first, target.channels);
      add_counts(in, k, known, known || !labelled, sums);
      for (std::int32_t i = 0; i < in.num_terms; ++i) {
        const FusedTerm<T>& term = in.terms[i];
        if (term.target != k || !(known || (term.holds_to_direct && !labelled))) {
          continue;
        }
        const T* held_to = (term.holds_to_direct ? target.direct : target.truth) + first;
        const T length = term.holds_to_direct ? length_of(held_to, target.channels) : T(1);
        sums[i] += static_cast<double>(cosine_error(term.prediction + first, held_to, length, target.channels));
      }
      continue;
    }
    for (std::int64_t at = first; at < first + target.channels; ++at) {
      const T truth = target.truth[at];
      const bool known = truth > T(0);
      if (!known && labelled) {
        continue;
      }
      add_counts(in, k, known, true, sums);
      for (std::int32_t i = 0; i < in.num_terms; ++i) {
        const FusedTerm<T>& term = in.terms[i];
        if (term.target == k && (known || term.holds_to_direct)) {
          sums[i] += static_cast<double>(
              point_error(term.error, term.prediction[at] - (term.holds_to_direct ? target.direct[at] : truth)));
        }
      }
    }
  }
}

/// Writes the gradient of one term's prediction at a pixel; what it is held to takes none.
/// \param factor  of the term's loss in the end \param first  where the pixel's values begin
template <typename T>
XTASC_HOST_DEVICE inline void write_term_gradient(const FusedTerm<T>& term, const FusedTarget<T>& target,
                                                  const PixelLabels& labels, bool is_labelled, std::int64_t first,
                                                  T factor, T* gradient) {
  const bool is_held_anyway = term.holds_to_direct && !is_labelled;
  if (target.kind == TargetKind::classes) {
    const std::int64_t label = term.holds_to_direct ? labels.direct : labels.truth;
    if (label >= 0) {
      cross_entropy_gradient(term.prediction + first, target.channels, label, factor, gradient + first);
      return;
    }
  } else if (target.kind == TargetKind::unit_vector) {
    if (is_held_anyway || is_known(target.truth + first, target.channels)) {
      const T* held_to = (term.holds_to_direct ? target.direct : target.truth) + first;
      const T length = term.holds_to_direct ? length_of(held_to, target.channels) : T(1);
      cosine_gradient(term.prediction + first, held_to, length, target.channels, factor, gradient + first);
      return;
    }
  }
  for (std::int64_t at = first; at < first + target.channels; ++at) {
    const bool is_counted = target.kind == TargetKind::numbers && (is_held_anyway || target.truth[at] > T(0));
    gradient[at] =
        is_counted
            ? factor * point_error_gradient(term.error, term.prediction[at] - (term.holds_to_direct ? target.direct[at]
                                                                                                    : target.truth[at]))
            : T(0);
  }
}

/// Writes the gradients of a pixel's predictions. \param factors  (num_terms): of the term's loss in the end
template <typename T>
XTASC_HOST_DEVICE inline void write_pixel_gradients(const FusedInputs<T>& in, std::int64_t pixel, const T* factors,
                                                    const FusedGradients<T>& out) {
  for (std::int32_t k = 0; k < in.num_targets; ++k) {
    const FusedTarget<T>& target = in.targets[k];
    const bool labelled = is_labelled(in, target, pixel);
    const PixelLabels labels =
        target.kind == TargetKind::classes ? labels_of(target, pixel, labelled) : PixelLabels{-1, -1};
    for (std::int32_t i = 0; i < in.num_terms; ++i) {
      if (in.terms[i].target == k && out.of_term[i] != nullptr) {
        write_term_gradient(in.terms[i], target, labels, labelled, pixel * target.channels, factors[i], out.of_term[i]);
      }
    }
  }
}

}  // namespace xtasc::kernels
