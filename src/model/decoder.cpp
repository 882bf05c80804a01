#include "model/decoder.hpp"

#include <ATen/ATen.h>

#include "core/error.hpp"
#include "model/upsample.hpp"

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

at::Tensor Decoder::forward(const Features& features, const Mode& mode) const {
  const auto norm = [&](const at::Tensor& y, std::size_t k, std::size_t i) {
    return batch_norm(y, blocks_[k].norms[i], mode, Activation::relu);
  };
  at::Tensor x = features[4];
  for (std::size_t k = 0; k < 5; ++k) {
    const auto& convolutions = blocks_[k].convolutions;
    x = norm(k == 0 ? convolve({x, {}}, convolutions[0], mode)
                    : convolve_upsampled({x, {}}, features[4 - k], convolutions[0], mode),
             k, 0);
    for (std::size_t i = 1; i < 3; ++i) {
      x = norm(convolve({x, {}}, convolutions[i], mode), k, i);
    }
  }
  const auto storage = head_.weight.scalar_type();
  // A 1x1 convolution commutes with the upsample: before it, it sees a quarter of the pixels.
  return mode.rewrites ? upsample_twice(convolve({x, {}}, head_, mode).to(storage))
                       : convolve({upsample_twice(x), {}}, head_, mode).to(storage);
}

}  // namespace xtasc::model
