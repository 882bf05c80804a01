#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "config/run_config.hpp"
#include "net/layers.hpp"

namespace xtasc::launch {

/// Multiply-adds that one rank's convolutions really execute in a step: where a rewrite runs, those that are left.
///
/// Counted are the products that are summed over channels, as the plain form's are: 16 for each 2 x 2 tile and pair of
/// channels in the form of Winograd; a quarter of the pixels where channels are contracted before an upsample, and in
/// the heads in front of one. The transforms between, the interpolation, and all that is no convolution are not.
struct ExecutedWork {
  net::PartWork parts;    ///< forward
  double teachers = 0.0;  ///< a student's: forward, among the losses
  double backward = 0.0;  ///< with what is computed a second time (train.activation_checkpointing)
  double after = 0.0;     ///< the forward pass after the update that some weighting methods ask for
  /// Convolutions by the form that they take.
  int winograd = 0, at_low_size = 0, plain = 0;

  [[nodiscard]] double total() const { return parts.sum() + teachers + backward + after; }
};

struct StepShape {
  std::int64_t images = 0;  ///< of this rank
  std::int64_t height = 0, width = 0, num_classes = 0;
};

/// Asks the kernels which form each layer takes. \param storage, compute  of the learner: train::types_of()
[[nodiscard]] ExecutedWork executed_work(const config::RunConfig& config, const StepShape& shape, at::Device device,
                                         at::ScalarType storage, at::ScalarType compute);

}  // namespace xtasc::launch
