#pragma once

#include "config/run_config.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// Multiply-adds of convolutions for one image, from the layers' shapes; everything else is small beside them.
struct ImageWork {
  double encoder = 0.0, decoders = 0.0, transfer_nets = 0.0;  ///< forward
  double forward = 0.0;                                       ///< their sum
  double step = 0.0;  ///< forward and backward, as the weighting method needs them
};

/// \param classes  of the segmentation; height and width are multiples of 32
[[nodiscard]] ImageWork work_of_image(const config::RunConfig& config, std::int64_t height, std::int64_t width,
                                      std::int64_t classes);

/// Epochs that a run really has: train.max_steps may end it before train.epochs.
[[nodiscard]] double epochs_of(const config::RunConfig& config, const DataShape& data);

/// Floating-point operations (two a multiply-add) of a whole run: training steps and evaluations.
[[nodiscard]] double flop_of_run(const config::RunConfig& config, const DataShape& data);

}  // namespace xtasc::sweep
