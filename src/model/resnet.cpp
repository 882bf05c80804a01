#include "model/resnet.hpp"

#include <ATen/ATen.h>

#include "core/error.hpp"

namespace xtasc::model {

namespace {

constexpr std::int64_t kStemWidth = 64;

ConvolutionOptions encoder_convolution(std::int64_t kernel, std::int64_t stride) {
  return {.kernel = kernel, .stride = stride, .bias = false, .init = Init::kaiming_normal};
}

}  // namespace

ResNetShape resnet_shape(config::Encoder encoder) {
  switch (encoder) {
    case config::Encoder::resnet18:
      return {{2, 2, 2, 2}, false};
    case config::Encoder::resnet34:
      return {{3, 4, 6, 3}, false};
    case config::Encoder::resnet50:
      return {{3, 4, 6, 3}, true};
    case config::Encoder::resnet101:
      return {{3, 4, 23, 3}, true};
    case config::Encoder::resnet152:
      return {{3, 8, 36, 3}, true};
  }
  fail("unknown encoder {}", static_cast<int>(encoder));
}

std::array<std::int64_t, 5> feature_channels(config::Encoder encoder) {
  const std::int64_t expansion = resnet_shape(encoder).bottleneck ? 4 : 1;
  return {kStemWidth, 64 * expansion, 128 * expansion, 256 * expansion, 512 * expansion};
}

ResNet::ResNet(ParameterSet& set, const std::string& prefix, config::Encoder encoder) {
  const auto unit = [&](const std::string& convolution, const std::string& norm, std::int64_t in, std::int64_t out,
                        std::int64_t kernel, std::int64_t stride) {
    return Unit{make_convolution(set, convolution, in, out, encoder_convolution(kernel, stride)),
                make_batch_norm(set, norm, out)};
  };
  const ResNetShape shape = resnet_shape(encoder);
  const auto channels = feature_channels(encoder);
  stem_ = unit(prefix + "conv1", prefix + "bn1", 3, kStemWidth, 7, 2);
  std::int64_t in = kStemWidth;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::int64_t out = channels[stage + 1];
    const std::int64_t width = std::int64_t{64} << stage;
    for (std::int64_t index = 0; index < shape.blocks[stage]; ++index) {
      const std::string name = fmt::format("{}layer{}.{}.", prefix, stage + 1, index);
      const std::int64_t stride = stage > 0 && index == 0 ? 2 : 1;
      Block block;
      if (shape.bottleneck) {
        block.units = {unit(name + "conv1", name + "bn1", in, width, 1, 1),
                       unit(name + "conv2", name + "bn2", width, width, 3, stride),
                       unit(name + "conv3", name + "bn3", width, out, 1, 1)};
      } else {
        block.units = {unit(name + "conv1", name + "bn1", in, out, 3, stride),
                       unit(name + "conv2", name + "bn2", out, out, 3, 1)};
      }
      if (stride != 1 || in != out) {
        block.downsample = {unit(name + "downsample.0", name + "downsample.1", in, out, 1, stride)};
      }
      stages_[stage].push_back(std::move(block));
      in = out;
    }
  }
}

void ResNet::fold_norms() {
  fold(stem_.convolution, stem_.norm);
  for (auto& stage : stages_) {
    for (Block& block : stage) {
      for (auto* units : {&block.units, &block.downsample}) {
        for (Unit& unit : *units) {
          fold(unit.convolution, unit.norm);
        }
      }
    }
  }
}

at::Tensor ResNet::forward(const Unit& unit, const at::Tensor& x, const Mode& mode, Activation activation) {
  const at::Tensor y = convolve({x, {}}, unit.convolution, mode, before_norm(unit.norm, activation));
  return batch_norm(y, unit.norm, mode, activation);
}

at::Tensor ResNet::forward(const Block& block, const at::Tensor& x, const Mode& mode) {
  at::Tensor y = x;
  for (std::size_t i = 0; i + 1 < block.units.size(); ++i) {
    y = forward(block.units[i], y, mode, Activation::relu);
  }
  const Unit& last = block.units.back();
  y = convolve({y, {}}, last.convolution, mode);
  at::Tensor shortcut = x;
  for (const Unit& unit : block.downsample) {
    shortcut = forward(unit, x, mode, Activation::none);
  }
  return batch_norm_and_add(y, last.norm, mode, shortcut);
}

Features ResNet::forward(const at::Tensor& image_n3hw, const Mode& mode) const {
  Features features;
  features[0] = forward(stem_, image_n3hw, mode, Activation::relu);
  at::Tensor x = at::max_pool2d(features[0], /*kernel_size=*/3, /*stride=*/2, /*padding=*/1);
  for (std::size_t stage = 0; stage < 4; ++stage) {
    for (const Block& block : stages_[stage]) {
      x = forward(block, x, mode);
    }
    features[stage + 1] = x;
  }
  return features;
}

}  // namespace xtasc::model
