#pragma once

#include <ATen/core/Tensor.h>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "loss/objective.hpp"
#include "model/network.hpp"

// train.accumulate: the gradient of a batch from pieces of it, of which one at a time is in memory.
namespace xtasc::train {

/// (terms) float64: the counts of this rank's images that Objective::losses() will give. They follow from the truths
/// alone, so no forward pass is needed: predictions of zeros tell them. \param mode  of the step
[[nodiscard]] at::Tensor counts_of(const loss::Objective& objective, const model::Network& net,
                                   const data::Batch& batch, const model::Mode& mode);

}  // namespace xtasc::train
