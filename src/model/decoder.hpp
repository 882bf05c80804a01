#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "model/batch_norm.hpp"
#include "model/layers.hpp"
#include "model/resnet.hpp"

namespace xtasc::model {

/// From the encoder's features to one prediction at full size (SPEC section 1): five blocks of three convolutions and
/// an upsample, each after the first joined with a skip, and a 1x1 head. Source: Nakano et al. 2021, section III-C.
class Decoder {
 public:
  /// \param width  channels of every block
  /// \param out    channels of the prediction: classes, or 1 for depth
  Decoder(ParameterSet& set, const std::string& prefix, config::Encoder encoder, std::int64_t width, std::int64_t out);

  /// -> (N, out, H, W) float32 (float64 in fp64)
  [[nodiscard]] at::Tensor forward(const Features& features, const Mode& mode) const;
  /// From now on for evaluation only: see fold().
  void fold_norms();

 private:
  struct Block {
    std::array<Convolution, 3> convolutions;
    std::array<BatchNorm, 3> norms;
  };
  std::array<Block, 5> blocks_;
  Convolution head_;
};

}  // namespace xtasc::model
