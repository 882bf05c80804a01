#include "model/chain.hpp"

#include <ATen/ATen.h>

#include "kernels/gate/gate.hpp"

namespace xtasc::model {

Chain::Chain(ParameterSet& set, const net::Chain& layers) {
  for (const net::Convolution& description : layers) {
    Layer& layer = layers_.emplace_back();
    layer.convolution = make_convolution(set, description);
    layer.has_norm = !description.norm.empty();
    if (layer.has_norm) {
      layer.norm = make_batch_norm(set, description.norm, description.out);
    }
  }
}

std::vector<Chain> make_chains(ParameterSet& set, const std::vector<net::Chain>& layers) {
  std::vector<Chain> chains;
  chains.reserve(layers.size());
  for (const net::Chain& chain : layers) {
    chains.emplace_back(set, chain);
  }
  return chains;
}

at::Tensor Chain::forward(const Joined& x, const Mode& mode) const {
  at::Tensor y;
  for (const Layer& layer : layers_) {
    const Joined input = y.defined() ? Joined{y, {}} : x;
    if (!layer.has_norm) {
      y = convolve(input, layer.convolution, mode);
      continue;
    }
    const auto [convolution, left_out] = unbiased(layer.convolution, layer.norm, mode);
    y = convolve(input, convolution, mode, before_norm(layer.norm, Activation::relu));
    y = batch_norm(y, layer.norm, mode, Activation::relu, left_out);
  }
  return y;
}

at::Tensor Chain::forward_upsampled(const at::Tensor& low_nchw, const Mode& mode) const {
  const Layer& layer = layers_.front();
  const auto [convolution, left_out] = unbiased(layer.convolution, layer.norm, mode);
  const at::Tensor y =
      convolve_upsampled({low_nchw, {}}, {}, convolution, mode, before_norm(layer.norm, Activation::relu));
  return batch_norm(y, layer.norm, mode, Activation::relu, left_out);
}

void Chain::fold_norms() {
  for (Layer& layer : layers_) {
    if (layer.has_norm) {
      fold(layer.convolution, layer.norm);
    }
  }
}

Attention::Attention(ParameterSet& set, const net::Mtan::Attention& layers) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers_[i] = {make_convolution(set, layers[i]), make_batch_norm(set, layers[i].norm, layers[i].out)};
  }
}

at::Tensor Attention::forward(const Joined& x, const at::Tensor& attended, const Mode& mode) const {
  at::Tensor y;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Activation activation = i == 0 ? Activation::relu : Activation::none;
    const auto [convolution, left_out] = unbiased(layers_[i].convolution, layers_[i].norm, mode);
    y = convolve(i == 0 ? x : Joined{y, {}}, convolution, mode, before_norm(layers_[i].norm, activation));
    y = batch_norm(y, layers_[i].norm, mode, activation, left_out);
  }
  return kernels::sigmoid_gate(y, attended);
}

void Attention::fold_norms() {
  for (Layer& layer : layers_) {
    fold(layer.convolution, layer.norm);
  }
}

}  // namespace xtasc::model
