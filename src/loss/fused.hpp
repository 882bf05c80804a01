#pragma once

#include "loss/consistency.hpp"

namespace xtasc::loss {

/// Can fused_task_losses() take these? On the CPU and on CUDA; not for ssim, kl, soft or smoothed targets.
[[nodiscard]] bool suits_fused(config::System system, const config::LossSection& options,
                               const LossInputs& predictions);

/// task_losses() in one pass over all predictions, and their gradients in another: equal to it but for rounding (sums
/// are in float64). Backward of any of the four computes all gradients: not for who goes back for each task alone.
[[nodiscard]] TaskLosses fused_task_losses(config::System system, const config::LossSection& options,
                                           const LossInputs& predictions, const Targets& targets);

}  // namespace xtasc::loss
