#pragma once

#include <ATen/core/Tensor.h>

namespace xtasc::model {

/// What a prediction of vectors means: its vectors over their lengths, n / max(|n|, task::kMinLength).
/// \param vectors_nchw  (N, C, H, W) float32 or float64
[[nodiscard]] at::Tensor unit_vectors(const at::Tensor& vectors_nchw);

}  // namespace xtasc::model
