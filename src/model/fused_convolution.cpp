#include "model/fused_convolution.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "model/batch_norm_kernels.hpp"
#include "model/gradients.hpp"

namespace xtasc::model {

namespace {

/// Channels that a tensor core's product wants to be a multiple of.
constexpr std::int64_t kChannelPack = 8;

std::int64_t padded_size(std::int64_t channels, const Mode& mode) {
  return mode.pads_channels ? (channels + kChannelPack - 1) / kChannelPack * kChannelPack : channels;
}

/// With zeros behind the last of the two outer dimensions, up to these sizes; itself where it has them.
at::Tensor padded(const at::Tensor& x, std::int64_t size_0, std::int64_t size_1) {
  if (x.size(0) == size_0 && x.size(1) == size_1) {
    return x;
  }
  at::Tensor y =
      at::empty({size_0, size_1, x.size(2), x.size(3)}, x.options().memory_format(at::MemoryFormat::ChannelsLast));
  y.zero_();
  y.narrow(0, 0, x.size(0)).narrow(1, 0, x.size(1)).copy_(x);
  return y;
}

/// The part that was there before padded().
at::Tensor unpadded(const at::Tensor& x, std::int64_t size_0, std::int64_t size_1) {
  return x.defined() ? x.narrow(0, 0, size_0).narrow(1, 0, size_1) : x;
}

class ConvolutionBackward final : public torch::autograd::Node {
 public:
  torch::autograd::SavedVariable x, y;       ///< y: only behind a ReLU
  torch::autograd::SavedVariable parameter;  ///< saved, so that autograd refuses one that changed meanwhile
  at::Tensor weight;                         ///< as the product read it, padded
  Convolution convolution;
  bool relu = false;
  bool in_place = false;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    static_cast<void>(parameter.unpack());
    const std::int64_t out = convolution.weight.size(0);
    const std::int64_t in = convolution.weight.size(1);
    const at::Tensor x_nchw = x.unpack();
    const at::Tensor x_padded = padded(x_nchw, x_nchw.size(0), weight.size(1));
    const bool has_bias = convolution.bias.defined();
    at::Tensor grad_y = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    if (relu) {
      grad_y = at::threshold_backward(grad_y, y.unpack(shared_from_this()), 0);
    }
    grad_y = padded(grad_y, grad_y.size(0), weight.size(0));
    const std::vector<std::int64_t> twice_1 = {1, 1};
    const std::vector<std::int64_t> bias_size = {weight.size(0)};
    auto [of_x, of_weight, of_bias] = at::convolution_backward(
        grad_y, x_padded, weight, has_bias ? at::OptionalIntArrayRef(bias_size) : std::nullopt,
        {convolution.stride, convolution.stride}, {convolution.padding, convolution.padding}, twice_1,
        /*transposed=*/false, /*output_padding=*/{0, 0}, /*groups=*/1,
        {task_should_compute_output(0), task_should_compute_output(1), has_bias});
    of_x = unpadded(of_x, x_nchw.size(0), in);
    of_weight = unpadded(of_weight, out, in);
    of_bias = has_bias ? of_bias.narrow(0, 0, out) : of_bias;
    if (in_place) {
      add_gradient(convolution.weight, of_weight);
      add_gradient(convolution.bias, of_bias);
      return {of_x, at::Tensor(), at::Tensor()};
    }
    return {of_x, of_weight, of_bias};
  }

  void release_variables() override {
    for (auto* saved : {&x, &y, &parameter}) {
      saved->reset_data();
    }
  }
};

/// Of padded x and weight; without what was padded, with bias and activation.
at::Tensor convolved(const at::Tensor& x, const at::Tensor& weight, const Convolution& convolution,
                     Activation activation) {
  const std::int64_t out = convolution.weight.size(0);
  const bool one_pass = convolution.bias.defined() && activation == Activation::relu;
  const bool adds_bias = convolution.bias.defined() && !one_pass && weight.size(0) == out;
  const at::Tensor bias = convolution.bias.defined() ? convolution.bias.detach() : at::Tensor();
  at::Tensor y = at::conv2d(x, weight, adds_bias ? bias.to(x.scalar_type()) : at::Tensor(), convolution.stride,
                            convolution.padding);
  y = unpadded(y, y.size(0), out).contiguous(at::MemoryFormat::ChannelsLast);
  if (one_pass) {
    add_bias_and_relu(y, bias);
    return y;
  }
  if (bias.defined() && !adds_bias) {
    y.add_(bias.to(y.scalar_type()).view({1, -1, 1, 1}));
  }
  return activation == Activation::relu ? y.relu_() : y;
}

}  // namespace

at::Tensor in_compute_type(const at::Tensor& parameter, const Mode& mode) {
  const at::Tensor detached = parameter.detach();
  if (!mode.flat_weights.defined()) {
    return detached.to(mode.compute);
  }
  return mode.flat_weights.as_strided(detached.sizes(), detached.strides(), detached.storage_offset());
}

at::Tensor convolve_fused(const at::Tensor& x_nchw, const Convolution& convolution, const Mode& mode,
                          Activation activation) {
  const at::Tensor x = compact(x_nchw, mode);
  at::Tensor weight = in_compute_type(convolution.weight, mode);
  at::Tensor y;
  {
    const c10::NoGradGuard no_grad;
    weight = padded(weight, padded_size(weight.size(0), mode), padded_size(weight.size(1), mode));
    y = convolved(padded(x.detach(), x.size(0), weight.size(1)), weight, convolution, activation);
  }
  if (c10::GradMode::is_enabled()) {
    const auto node = std::shared_ptr<ConvolutionBackward>(new ConvolutionBackward(), torch::autograd::deleteNode);
    node->set_next_edges(torch::autograd::collect_next_edges(x, convolution.weight, convolution.bias));
    node->x = torch::autograd::SavedVariable(x, /*is_output=*/false);
    node->parameter = torch::autograd::SavedVariable(convolution.weight, /*is_output=*/false);
    node->weight = weight;
    node->convolution = convolution;
    node->relu = activation == Activation::relu;
    node->in_place = mode.gradients_in_place;
    torch::autograd::set_history(y, node);
    if (node->relu) {
      node->y = torch::autograd::SavedVariable(y, /*is_output=*/true);
    }
  }
  return y;
}

}  // namespace xtasc::model
