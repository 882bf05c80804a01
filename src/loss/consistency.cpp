#include "loss/consistency.hpp"

#include <ATen/ATen.h>

#include "core/error.hpp"
#include "loss/fused.hpp"
#include "loss/transferred.hpp"

namespace xtasc::loss {

namespace {

constexpr std::int64_t kIgnoreLabel = 255;

/// The depth predicted from the segmentation, held to the direct depth.
SummedLoss consistent_depth(config::TransferredDepthLoss kind, const LossInputs& predictions, const at::Tensor& valid) {
  const at::Tensor target = predictions.depth_n1hw.detach();
  switch (kind) {
    case config::TransferredDepthLoss::l1:
      return depth_loss(config::DepthLoss::l1, predictions.seg_to_depth_n1hw, target, valid);
    case config::TransferredDepthLoss::ssim:
      return ssim_depth(predictions.seg_to_depth_n1hw, target, valid);
  }
  fail("unknown transferred depth loss {}", static_cast<int>(kind));
}

/// The segmentation predicted from the depth, held to the direct segmentation on labelled pixels.
SummedLoss consistent_segmentation(const config::LossSection& options, const LossInputs& predictions,
                                   const at::Tensor& labels_nhw) {
  const at::Tensor is_ignored = labels_nhw == kIgnoreLabel;
  if (options.transferred_segmentation == config::TransferredSegmentationLoss::cross && !options.soft_target &&
      options.label_smoothing == 0.0) {  // hard labels need no distribution in memory
    const at::Tensor best = predictions.seg_nchw.detach().argmax(1);
    return cross_entropy(predictions.depth_to_seg_nchw, best.masked_fill(is_ignored, kIgnoreLabel));
  }
  const at::Tensor target =
      target_distribution(predictions.seg_nchw, {.soft = options.soft_target, .smoothing = options.label_smoothing});
  return distribution_loss(options.transferred_segmentation, predictions.depth_to_seg_nchw, target, ~is_ignored);
}

}  // namespace

TaskLosses task_losses(config::System system, const config::LossSection& options, const LossInputs& predictions,
                       const Targets& targets, LossForm form) {
  if (form == LossForm::fused && suits_fused(system, options, predictions)) {
    return fused_task_losses(system, options, predictions, targets);
  }
  TaskLosses losses;
  const at::Tensor valid = targets.depth_n1hw > 0;
  if (config::has_segmentation(system)) {
    losses.seg = cross_entropy(predictions.seg_nchw, targets.labels_nhw);
  }
  if (config::has_depth(system)) {
    losses.depth = depth_loss(options.depth, predictions.depth_n1hw, targets.depth_n1hw, valid);
  }
  if (system == config::System::xtasc) {
    losses.seg_to_depth = consistent_depth(options.transferred_depth, predictions, valid);
    losses.depth_to_seg = consistent_segmentation(options, predictions, targets.labels_nhw);
  } else if (system == config::System::align) {
    losses.seg_to_depth = depth_loss(options.depth, predictions.seg_to_depth_n1hw, targets.depth_n1hw, valid);
    losses.depth_to_seg = cross_entropy(predictions.depth_to_seg_nchw, targets.labels_nhw);
  }
  return losses;
}

}  // namespace xtasc::loss
