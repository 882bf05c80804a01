#include "model/decoder.hpp"

#include <ATen/ATen.h>

#include "kernels/upsample/upsample.hpp"

namespace xtasc::model {

Decoder::Decoder(ParameterSet& set, const net::Decoder& layers) {
  for (std::size_t k = 0; k < blocks_.size(); ++k) {
    for (std::size_t i = 0; i < 3; ++i) {
      const net::Convolution& layer = layers.blocks[k][i];
      blocks_[k].convolutions[i] = make_convolution(set, layer);
      blocks_[k].norms[i] = make_batch_norm(set, layer.norm, layer.out);
    }
  }
  head_ = make_convolution(set, layers.head);
}

void Decoder::fold_norms() {
  for (Block& block : blocks_) {
    for (std::size_t i = 0; i < 3; ++i) {
      fold(block.convolutions[i], block.norms[i]);
    }
  }
}

at::Tensor Decoder::forward(const Features& features, const Mode& mode) const {
  at::Tensor x = features[4];
  for (std::size_t k = 0; k < 5; ++k) {
    const auto& [convolutions, norms] = blocks_[k];
    for (std::size_t i = 0; i < 3; ++i) {
      const Activation activation = before_norm(norms[i], Activation::relu);
      const auto [convolution, left_out] = unbiased(convolutions[i], norms[i], mode);
      x = k > 0 && i == 0 ? convolve_upsampled({x, {}}, features[4 - k], convolution, mode, activation)
                          : convolve({x, {}}, convolution, mode, activation);
      x = batch_norm(x, norms[i], mode, Activation::relu, left_out);
    }
  }
  const auto storage = head_.weight.scalar_type();
  // A 1x1 convolution commutes with the upsample: before it, it sees a quarter of the pixels.
  return mode.rewrites ? kernels::upsample_twice(convolve({x, {}}, head_, mode).to(storage))
                       : convolve({kernels::upsample_twice(x), {}}, head_, mode).to(storage);
}

}  // namespace xtasc::model
