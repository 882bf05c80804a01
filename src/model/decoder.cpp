#include "model/decoder.hpp"

#include <ATen/ATen.h>

#include "core/error.hpp"
#include "kernels/upsample/upsample.hpp"

namespace xtasc::model {

Decoder::Decoder(ParameterSet& set, const std::string& prefix, config::Encoder encoder, std::int64_t width,
                 std::int64_t out) {
  const auto skip_channels = feature_channels(encoder);
  for (std::size_t k = 0; k < 5; ++k) {
    const std::string name = fmt::format("{}block{}.", prefix, k + 1);
    std::int64_t in = k == 0 ? skip_channels[4] : width + skip_channels[4 - k];
    for (std::size_t i = 0; i < 3; ++i) {
      blocks_[k].convolutions[i] = make_convolution(set, fmt::format("{}conv{}", name, i + 1), in, width, {});
      blocks_[k].norms[i] = make_batch_norm(set, fmt::format("{}bn{}", name, i + 1), width);
      in = width;
    }
  }
  head_ = make_convolution(set, prefix + "head", width, out, {.kernel = 1, .bias = false});
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
