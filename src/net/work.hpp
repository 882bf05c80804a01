#pragma once

#include <cstdint>

#include "config/run_config.hpp"
#include "net/layers.hpp"

namespace xtasc::net {

/// What a step does beside one pass forward and one back, as its weighting method needs it.
struct ExtraPasses {
  bool backward_by_task = false;  ///< methods that combine the tasks' gradients go back through a layer once a task
  int forward = 0;                ///< the batch's losses after the move

  /// The backward passes of a layer whose forward pass is `work`: as much for the input, unless that is the image, and
  /// as much for the weights.
  [[nodiscard]] double backward(const Convolution& layer, double work) const;
};
[[nodiscard]] ExtraPasses extra_passes(const config::RunConfig& config);

/// Multiply-adds of convolutions for one image, from the layers' shapes; everything else is small beside them.
struct ImageWork {
  PartWork parts;         ///< forward
  double forward = 0.0;   ///< their sum
  double losses = 0.0;    ///< forward as far as the tasks' losses need it: without a student's adaptors
  double teachers = 0.0;  ///< their passes forward, of a step
  double step = 0.0;      ///< forward and backward, as the weighting method needs them
};

/// \param classes  of the segmentation; height and width are multiples of 32
[[nodiscard]] ImageWork work_of_image(const config::RunConfig& config, std::int64_t height, std::int64_t width,
                                      std::int64_t classes);

}  // namespace xtasc::net
