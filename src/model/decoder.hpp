#pragma once

#include <array>

#include "model/batch_norm.hpp"
#include "model/layers.hpp"
#include "model/resnet.hpp"
#include "net/xtasc.hpp"

namespace xtasc::model {

/// Computes net::Decoder.
class Decoder {
 public:
  Decoder(ParameterSet& set, const net::Decoder& layers);

  /// -> (N, out, H, W) float32 (float64 in fp64)
  [[nodiscard]] at::Tensor forward(const Features& features, const Mode& mode) const;
  /// From now on for evaluation only: see fold().
  void fold_norms();
  /// Of the first convolution.
  [[nodiscard]] at::Tensor first_weight() const { return blocks_[0].convolutions[0].weight; }

 private:
  struct Block {
    std::array<Convolution, 3> convolutions;
    std::array<BatchNorm, 3> norms;
  };
  std::array<Block, 5> blocks_;
  Convolution head_;
};

}  // namespace xtasc::model
