#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace xtasc::metric {

/// Metric name -> value; a metric for which nothing could be counted is absent.
/// Keys: miou, pix_acc (shares in 0..1); abs_err, rmse (depth unit); rel_err, sq_rel, irmse, log_irmse; delta_1,
/// delta_2, delta_3 (shares).
using Values = std::map<std::string, double>;

struct Report {
  Values paper, dataset;                         ///< by protocol, SPEC section 5
  std::vector<std::optional<double>> class_iou;  ///< dataset protocol; absent for a class with an empty union
};

/// Both metric protocols over a data set, batch by batch, without a host wait until report().
///
/// paper:    mIoU and pixel accuracy of each image (classes with an empty union, and images without a labelled pixel,
/// left
///           out), mean over images; depth errors over the valid pixels of a batch, mean over batches weighted by their
///           images (batches without a valid pixel left out).
/// dataset:  mIoU and pixel accuracy from one confusion matrix; depth errors over all valid pixels.
///
/// A prediction enters ratios and logarithms as at least 1e-3 of the depth unit: a net may predict zero or less.
/// Everything is added up in int64 and float64.
class Metrics {
 public:
  /// \param num_classes  0: no segmentation. \param has_depth  false: no depth
  Metrics(std::int64_t num_classes, bool has_depth, at::Device device);

  /// Adds one batch of the protocol. Undefined tensors for a task that is not measured.
  /// \param predicted_nhw  (N, H, W) int64 class ids; labels_nhw (N, H, W) int64, 255 = ignored
  /// \param prediction_n1hw, target_n1hw  (N, 1, H, W), target 0 = invalid
  void add(const at::Tensor& predicted_nhw, const at::Tensor& labels_nhw, const at::Tensor& prediction_n1hw,
           const at::Tensor& target_n1hw);

  /// Adds up over ranks. \param sum  sums a float64 or int64 tensor in place. Collective.
  void sum_over_ranks(const std::function<void(const at::Tensor&)>& sum);

  [[nodiscard]] Report report() const;

 private:
  void add_segmentation(const at::Tensor& predicted_nhw, const at::Tensor& labels_nhw);
  void add_depth(const at::Tensor& prediction_n1hw, const at::Tensor& target_n1hw);

  std::int64_t num_classes_;
  bool has_depth_;
  at::Tensor confusion_;   ///< (C, C) int64: [label, predicted]
  at::Tensor image_sums_;  ///< (4) float64: sum of mIoU, images with one, sum of pixel accuracy, images with one
  at::Tensor pooled_;      ///< (kNumDepthSums + 1) float64: sums over valid pixels, then their number
  at::Tensor is_rooted_;   ///< (kNumDepthSums) bool: the metric is the root of the mean
  at::Tensor batch_sums_;  ///< (kNumDepthSums + 1) float64: batch values times images, then images
};

}  // namespace xtasc::metric
