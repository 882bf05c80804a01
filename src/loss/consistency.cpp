#include "loss/consistency.hpp"

#include <ATen/ATen.h>

namespace xtasc::loss {

namespace {

constexpr std::int64_t kIgnoreLabel = 255;

/// The direct segmentation as hard labels where the ground truth is labelled, ignored elsewhere.
at::Tensor predicted_labels(const at::Tensor& seg_nchw, const at::Tensor& labels_nhw) {
  return seg_nchw.detach().argmax(1).masked_fill(labels_nhw == kIgnoreLabel, kIgnoreLabel);
}

}  // namespace

TaskLosses task_losses(config::System system, const LossInputs& predictions, const Targets& targets) {
  TaskLosses losses;
  const at::Tensor valid = targets.depth_n1hw > 0;
  if (config::has_segmentation(system)) {
    losses.seg = cross_entropy(predictions.seg_nchw, targets.labels_nhw);
  }
  if (config::has_depth(system)) {
    losses.depth = l1_depth(predictions.depth_n1hw, targets.depth_n1hw, valid);
  }
  if (config::has_transfer(system)) {
    const bool aligns = system == config::System::align;
    const at::Tensor depth_target = aligns ? targets.depth_n1hw : predictions.depth_n1hw.detach();
    const at::Tensor label_target =
        aligns ? targets.labels_nhw : predicted_labels(predictions.seg_nchw, targets.labels_nhw);
    losses.seg_to_depth = l1_depth(predictions.seg_to_depth_n1hw, depth_target, valid);
    losses.depth_to_seg = cross_entropy(predictions.depth_to_seg_nchw, label_target);
  }
  return losses;
}

}  // namespace xtasc::loss
