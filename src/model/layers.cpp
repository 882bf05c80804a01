#include "model/layers.hpp"

#include <ATen/ATen.h>

namespace xtasc::model {

Convolution make_convolution(ParameterSet& set, const std::string& name, std::int64_t in, std::int64_t out,
                             const ConvolutionOptions& options) {
  Convolution convolution;
  convolution.weight = set.parameter(name + ".weight", {out, in, options.kernel, options.kernel}, options.init);
  if (options.bias) {
    convolution.bias = set.parameter(name + ".bias", {out}, Init::zeros);
  }
  convolution.stride = options.stride;
  convolution.padding = options.kernel / 2;
  return convolution;
}

BatchNorm make_batch_norm(ParameterSet& set, const std::string& name, std::int64_t channels) {
  return {.weight = set.parameter(name + ".weight", {channels}, Init::ones),
          .bias = set.parameter(name + ".bias", {channels}, Init::zeros),
          .running_mean = set.buffer(name + ".running_mean", {channels}, 0.0),
          .running_var = set.buffer(name + ".running_var", {channels}, 1.0)};
}

at::Tensor convolve(const at::Tensor& x_nchw, const Convolution& convolution, const Mode& mode) {
  const at::Tensor bias = convolution.bias.defined() ? convolution.bias.to(mode.compute) : at::Tensor();
  return at::conv2d(x_nchw.to(mode.compute), convolution.weight.to(mode.compute), bias, convolution.stride,
                    convolution.padding);
}

}  // namespace xtasc::model
