#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.hpp"

/// The losses of one pixel and their gradients, all tasks at once: compiled for the CPU and, by nvcc, for the GPU, so
/// that the CPU's tests run the very code that a GPU would.

namespace xtasc::loss {

/// Of a depth error d; in config::DepthLoss's order.
enum class PointError : std::int32_t { l1, mse, log_l1, smooth_l1 };

/// Predictions and targets of a batch as (N, H, W, C) or (N, H, W) in memory; null where the system has none.
template <typename T>
struct FusedInputs {
  const T* seg = nullptr;           ///< logits
  const T* depth = nullptr;         ///< direct
  const T* seg_to_depth = nullptr;  ///< transferred
  const T* depth_to_seg = nullptr;  ///< transferred, logits
  const std::int64_t* label = nullptr;
  const T* target_depth = nullptr;  ///< 0 = invalid
  std::int32_t num_classes = 0;
  std::int32_t width = 0;
  std::int64_t num_rows = 0;  ///< N * H
  PointError depth_error = PointError::l1;
  PointError seg_to_depth_error = PointError::l1;
  bool holds_to_truth = false;  ///< the transferred predictions: to the targets, or to the direct predictions
};

/// What a row of pixels adds up to.
enum RowSum : std::int32_t { kSegSum, kDepthSum, kSegToDepthSum, kDepthToSegSum, kLabelled, kValid, kNumRowSums };

/// The four factors by which the gradients of a pixel's losses are multiplied.
template <typename T>
struct PixelFactors {
  T seg, depth, seg_to_depth, depth_to_seg;
};

/// Gradients of the predictions, laid out as they are; null where none is wanted.
template <typename T>
struct FusedGradients {
  T* seg = nullptr;
  T* depth = nullptr;
  T* seg_to_depth = nullptr;
  T* depth_to_seg = nullptr;
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

/// What a pixel's predictions are held to.
template <typename T>
struct PixelTargets {
  std::int64_t label;        ///< of the direct segmentation; below 0: none
  std::int64_t transferred;  ///< of the transferred one
  T depth, transferred_depth;
  bool is_valid;
};

template <typename T>
XTASC_HOST_DEVICE inline PixelTargets<T> targets_of(const FusedInputs<T>& in, std::int64_t pixel) {
  PixelTargets<T> t{-1, -1, T(0), T(0), false};
  const std::int64_t label = in.label[pixel];
  if (in.num_classes > 0 && label >= 0 && label < in.num_classes) {
    t.label = label;
    t.transferred =
        in.holds_to_truth || in.seg == nullptr ? label : arg_max(in.seg + pixel * in.num_classes, in.num_classes);
  }
  t.depth = in.target_depth[pixel];
  t.is_valid = t.depth > T(0);
  t.transferred_depth = in.holds_to_truth || in.depth == nullptr ? t.depth : in.depth[pixel];
  return t;
}

/// Adds a pixel's losses to the sums of its row. \param sums  (kNumRowSums)
template <typename T>
XTASC_HOST_DEVICE inline void add_pixel_losses(const FusedInputs<T>& in, std::int64_t pixel, double* sums) {
  const PixelTargets<T> t = targets_of(in, pixel);
  if (t.label >= 0) {
    sums[kLabelled] += 1.0;
    if (in.seg != nullptr) {
      sums[kSegSum] += static_cast<double>(cross_entropy_of(in.seg + pixel * in.num_classes, in.num_classes, t.label));
    }
    if (in.depth_to_seg != nullptr) {
      sums[kDepthToSegSum] += static_cast<double>(
          cross_entropy_of(in.depth_to_seg + pixel * in.num_classes, in.num_classes, t.transferred));
    }
  }
  if (t.is_valid) {
    sums[kValid] += 1.0;
    if (in.depth != nullptr) {
      sums[kDepthSum] += static_cast<double>(point_error(in.depth_error, in.depth[pixel] - t.depth));
    }
    if (in.seg_to_depth != nullptr) {
      sums[kSegToDepthSum] +=
          static_cast<double>(point_error(in.seg_to_depth_error, in.seg_to_depth[pixel] - t.transferred_depth));
    }
  }
}

/// Writes the gradients of a pixel's predictions; a target takes none.
template <typename T>
XTASC_HOST_DEVICE inline void write_pixel_gradients(const FusedInputs<T>& in, std::int64_t pixel,
                                                    const PixelFactors<T>& factors, const FusedGradients<T>& out) {
  const PixelTargets<T> t = targets_of(in, pixel);
  const std::int64_t first = pixel * in.num_classes;
  const auto write_logits = [&](const T* logits, std::int64_t target, T factor, T* gradient) {
    if (gradient == nullptr) {
      return;
    }
    if (target >= 0) {
      cross_entropy_gradient(logits + first, in.num_classes, target, factor, gradient + first);
    } else {
      for (std::int32_t c = 0; c < in.num_classes; ++c) {
        gradient[first + c] = T(0);
      }
    }
  };
  write_logits(in.seg, t.label, factors.seg, out.seg);
  write_logits(in.depth_to_seg, t.transferred, factors.depth_to_seg, out.depth_to_seg);
  if (out.depth != nullptr) {
    out.depth[pixel] =
        t.is_valid ? factors.depth * point_error_gradient(in.depth_error, in.depth[pixel] - t.depth) : T(0);
  }
  if (out.seg_to_depth != nullptr) {
    out.seg_to_depth[pixel] =
        t.is_valid ? factors.seg_to_depth *
                         point_error_gradient(in.seg_to_depth_error, in.seg_to_depth[pixel] - t.transferred_depth)
                   : T(0);
  }
}

}  // namespace xtasc::loss
