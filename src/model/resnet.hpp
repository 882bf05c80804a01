#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "config/enums.hpp"
#include "model/batch_norm.hpp"
#include "model/layers.hpp"

namespace xtasc::model {

/// What the encoder hands to the decoders: layer0 (1/2) .. layer4 (1/32), each (N, channels, H / 2^(k+1), W / 2^(k+1)).
using Features = std::array<at::Tensor, 5>;

/// Sizes of a ResNet: a new one is one more entry in resnet.cpp's table.
struct ResNetShape {
  std::array<std::int64_t, 4> blocks;
  bool bottleneck;
};
[[nodiscard]] ResNetShape resnet_shape(config::Encoder encoder);
/// Channels of layer0 .. layer4.
[[nodiscard]] std::array<std::int64_t, 5> feature_channels(config::Encoder encoder);

/// The convolutional part of torchvision's ResNet, with its tensor names.
/// Source: He et al. 2016; https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py for the names.
class ResNet {
 public:
  ResNet(ParameterSet& set, const std::string& prefix, config::Encoder encoder);

  /// image: (N, 3, H, W), normalised; H and W multiples of 32.
  [[nodiscard]] Features forward(const at::Tensor& image_n3hw, const Mode& mode) const;
  /// From now on for evaluation only: see fold().
  void fold_norms();

 private:
  struct Unit {
    Convolution convolution;
    BatchNorm norm;
  };
  struct Block {
    std::vector<Unit> units;       ///< two 3x3, or 1x1, 3x3, 1x1
    std::vector<Unit> downsample;  ///< none or one: 1x1 on the shortcut
  };

  [[nodiscard]] static at::Tensor forward(const Unit& unit, const at::Tensor& x, const Mode& mode,
                                          Activation activation);
  [[nodiscard]] static at::Tensor forward(const Block& block, const at::Tensor& x, const Mode& mode);

  Unit stem_;
  std::array<std::vector<Block>, 4> stages_;
};

}  // namespace xtasc::model
