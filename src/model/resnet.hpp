#pragma once

#include <array>
#include <vector>

#include "model/batch_norm.hpp"
#include "model/layers.hpp"
#include "net/resnet.hpp"

namespace xtasc::model {

/// What the encoder hands to the decoders: layer0 (1/2) .. layer4 (1/32), each (N, channels, H / 2^(k+1), W / 2^(k+1));
/// of a dilated one layer2 to layer4 at 1/8.
using Features = std::array<at::Tensor, 5>;

/// Computes net::ResNet.
class ResNet {
 public:
  ResNet(ParameterSet& set, const net::ResNet& layers);

  /// image: (N, 3, H, W), normalised; H and W multiples of 32.
  [[nodiscard]] Features forward(const at::Tensor& image_n3hw, const Mode& mode) const;
  /// From now on for evaluation only: see fold().
  void fold_norms();
  /// Of the second convolution of stage 4's last block: the last 3x3 convolution there is.
  [[nodiscard]] at::Tensor last_3x3_weight() const { return stages_.back().back().units[1].convolution.weight; }

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
