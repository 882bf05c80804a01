#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "config/run_config.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

enum class NetPart { encoder, decoders, transfer_nets };

/// One convolution of the net, by its shape.
struct ConvolutionShape {
  NetPart part = NetPart::encoder;
  std::int64_t kernel = 3, stride = 1;
  std::array<std::int64_t, 2> upsampled = {};  ///< channels of up to two tensors that are first made twice as large
  std::int64_t direct = 0;                     ///< channels of a tensor that enters as it is, joined to those
  std::int64_t out = 0;
  std::int64_t height = 0, width = 0;  ///< of the output
  bool sees_image = false;             ///< nobody asks for the gradient of its input

  [[nodiscard]] std::int64_t in() const { return upsampled[0] + upsampled[1] + direct; }
  /// Of one image, forward, in the plain form.
  [[nodiscard]] double multiply_adds() const;
};

/// Every convolution of a config's net, in the order of the forward pass. \param classes  of the segmentation; height
/// and width are multiples of 32
[[nodiscard]] std::vector<ConvolutionShape> convolutions_of(const config::ModelSection& model, std::int64_t height,
                                                            std::int64_t width, std::int64_t classes);

/// What a step does beside one pass forward and one back, as its weighting method needs it.
struct ExtraPasses {
  int encoder_backward = 0;  ///< methods that combine the tasks' gradients go back through the encoder once for each
  int forward = 0;           ///< the batch's losses after the move
};
[[nodiscard]] ExtraPasses extra_passes(const config::RunConfig& config);

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
