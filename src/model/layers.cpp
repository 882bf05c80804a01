#include "model/layers.hpp"

#include <ATen/ATen.h>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "kernels/epilogue/fused_convolution.hpp"
#include "kernels/tiles/tiled_convolution.hpp"
#include "kernels/upsample/upsample.hpp"
#include "kernels/upsample/upsampled_convolution.hpp"
#include "kernels/winograd/winograd.hpp"

namespace xtasc::model {

namespace {

bool suits_winograd(const Joined& x, const Convolution& convolution, const Mode& mode) {
  return mode.rewrites && kernels::suits_winograd(x, convolution, mode.compute);
}

/// Whether the product is the device's own library's, with kernels of ours behind it.
bool suits_fused(const at::Tensor& x, const Mode& mode) {
  return mode.rewrites && (takes_cuda_form(x) || x.is_meta());
}

kernels::FusedOptions fused_options(const Mode& mode) {
  return {mode.compute, mode.pads_channels, mode.flat_weights, mode.gradients_in_place};
}

/// Without the taps that read padding alone for all of x, as those of a large distance do on small maps.
Convolution without_idle_taps(const Convolution& convolution, const at::Tensor& x_nchw) {
  Convolution result = convolution;
  for (const std::int64_t side : {2, 3}) {
    const std::int64_t taps = convolution.weight.size(side);
    const std::int64_t reading = kernels::reading_taps(taps, convolution.dilation, x_nchw.size(side));
    if (reading < taps) {
      result.weight = result.weight.narrow(side, taps / 2, reading);
    }
  }
  return result;
}

}  // namespace

Convolution make_convolution(ParameterSet& set, const net::Convolution& layer) {
  Convolution convolution;
  convolution.weight =
      set.parameter(layer.name + ".weight", {layer.out, layer.in, layer.kernel, layer.kernel}, layer.init);
  if (layer.has_bias) {
    convolution.bias = set.parameter(layer.name + ".bias", {layer.out}, Init::zeros);
  }
  convolution.stride = layer.stride;
  convolution.padding = layer.dilation * (layer.kernel / 2);
  convolution.dilation = layer.dilation;
  return convolution;
}

BatchNorm make_batch_norm(ParameterSet& set, const std::string& name, std::int64_t channels) {
  return {.weight = set.parameter(name + ".weight", {channels}, Init::ones),
          .bias = set.parameter(name + ".bias", {channels}, Init::zeros),
          .running_mean = set.buffer(name + ".running_mean", {channels}, 0.0),
          .running_var = set.buffer(name + ".running_var", {channels}, 1.0)};
}

at::Tensor draws_of(const Mode& mode, std::int64_t num_images, std::int64_t first, std::int64_t count) {
  check(mode.draws_nk.defined() && mode.draws_nk.size(0) == num_images && first + count <= mode.draws_nk.size(1),
        "dropout of {} images finds no draws", num_images);
  return mode.draws_nk.narrow(1, first, count);
}

at::Tensor convolve(const Joined& x, const Convolution& given, const Mode& mode, Activation activation) {
  const Convolution convolution = mode.rewrites ? without_idle_taps(given, x.first) : given;
  if (suits_winograd(x, convolution, mode)) {
    return kernels::convolve_by_winograd(x, convolution, mode.compute, activation);
  }
  if (mode.rewrites && kernels::suits_tiles(x, convolution, mode.compute)) {
    return kernels::convolve_by_tiles(x, convolution, activation,
                                      mode.gradients_in_place && convolution.weight.is_leaf());
  }
  const at::Tensor x_nchw = x.second.defined() ? at::cat({x.first, x.second}, 1) : x.first;
  if (suits_fused(x_nchw, mode)) {
    kernels::FusedOptions options = fused_options(mode);
    options.gradients_in_place = options.gradients_in_place && convolution.weight.is_leaf();
    return kernels::convolve_fused(x_nchw, convolution, options, activation);
  }
  const at::Tensor bias = convolution.bias.defined() ? convolution.bias.to(mode.compute) : at::Tensor();
  at::Tensor y = at::conv2d(x_nchw.to(mode.compute), convolution.weight.to(mode.compute), bias, convolution.stride,
                            kernels::padding_of(convolution), convolution.dilation);
  return activation == Activation::relu ? y.relu_() : y;
}

at::Tensor convolve_and_pool(const Joined& x, const Convolution& convolution, const Mode& mode) {
  const auto is_even = [](std::int64_t size) { return size % 2 == 0; };
  const bool has_whole_windows = is_even(x.first.size(2)) && is_even(x.first.size(3));
  if (suits_fused(x.first, mode) && !x.second.defined() && has_whole_windows && convolution.bias.defined() &&
      convolution.stride == 1 && !suits_winograd(x, convolution, mode)) {
    return kernels::convolve_fused_and_pool(x.first, convolution, fused_options(mode));
  }
  return at::max_pool2d(convolve(x, convolution, mode, Activation::relu), /*kernel_size=*/2);
}

at::Tensor convolve_upsampled(const Joined& low, const at::Tensor& skip, const Convolution& convolution,
                              const Mode& mode, Activation activation) {
  if (mode.rewrites && kernels::suits_low_size(low, skip, convolution, mode.compute)) {
    return kernels::convolve_upsampled_at_low_size(low, skip, convolution, mode.compute, activation);
  }
  check(!low.second.defined() || !skip.defined(), "convolve_upsampled: two tensors to upsample and a skip");
  if (const at::Tensor& beside = low.second.defined() ? low.second : skip;
      mode.rewrites && beside.defined() && kernels::upsamples_by_elements(low.first)) {
    const at::Tensor joined = kernels::upsample_joined(low.first.to(mode.compute), beside.to(mode.compute));
    return convolve({joined, {}}, convolution, mode, activation);
  }
  const at::Tensor first = kernels::upsample_twice(low.first);
  return convolve({first, low.second.defined() ? kernels::upsample_twice(low.second) : skip}, convolution, mode,
                  activation);
}

}  // namespace xtasc::model
