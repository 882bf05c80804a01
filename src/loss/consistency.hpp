#pragma once

#include <ATen/core/Tensor.h>

#include "config/run_config.hpp"
#include "loss/direct.hpp"

namespace xtasc::loss {

/// Targets of a batch.
struct Targets {
  at::Tensor labels_nhw;  ///< (N, H, W) int64, 255 = ignored
  at::Tensor depth_n1hw;  ///< (N, 1, H, W), 0 = invalid
};

/// What the losses look at; undefined where the system has no such part.
struct LossInputs {
  at::Tensor seg_nchw, depth_n1hw;                  ///< direct predictions
  at::Tensor seg_to_depth_n1hw, depth_to_seg_nchw;  ///< transferred predictions
};

/// The four plain losses, before lambda and weighting; sum undefined where the system has none.
struct TaskLosses {
  SummedLoss seg, depth, seg_to_depth, depth_to_seg;
};

enum class LossForm {
  plain,  ///< by ATen's operations, each task's graph apart from the other's
  fused,  ///< one pass over everything, where there is one (fused.hpp): the same but for rounding
};

/// Losses of a batch by a system.
///
/// xtasc: a transferred prediction is held to the other task's direct prediction, detached (cross-task consistency, eq.
///        3), by options.transferred_depth and options.transferred_segmentation; the latter on labelled pixels, the
///        former on pixels with valid depth.
/// align: it is held to the ground truth by the direct losses: cross entropy and options.depth (alignment, eq. 8).
/// base_*: direct losses only.
///
/// What the losses of a batch without a labelled pixel, or without valid depth, count is 0, and their gradient too.
///
/// Source: Nakano et al. 2021, eq. 3, 8, 11 to 15; where SPEC section 2 departs from the 2021 code, SPEC holds, and the
/// functions called here say how.
[[nodiscard]] TaskLosses task_losses(config::System system, const config::LossSection& options,
                                     const LossInputs& predictions, const Targets& targets,
                                     LossForm form = LossForm::plain);

}  // namespace xtasc::loss
