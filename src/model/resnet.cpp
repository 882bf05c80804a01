#include "model/resnet.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <iterator>

namespace xtasc::model {

ResNet::ResNet(ParameterSet& set, const net::ResNet& layers) {
  const auto unit = [&set](const net::Convolution& layer) {
    return Unit{make_convolution(set, layer), make_batch_norm(set, layer.norm, layer.out)};
  };
  stem_ = unit(layers.stem);
  for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
    for (const net::ResNet::Block& from : layers.stages[stage]) {
      Block& block = stages_[stage].emplace_back();
      std::ranges::transform(from.convolutions, std::back_inserter(block.units), unit);
      if (from.downsample) {
        block.downsample.push_back(unit(*from.downsample));
      }
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
