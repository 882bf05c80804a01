#include "kernels/epilogue/fused_convolution.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "kernels/epilogue/epilogue.hpp"
#include "kernels/gradients.hpp"

namespace xtasc::kernels {

namespace {

/// Channels that a tensor core's product wants to be a multiple of.
constexpr std::int64_t kChannelPack = 8;

std::int64_t padded_size(std::int64_t channels, const FusedOptions& options) {
  return options.pads_channels ? (channels + kChannelPack - 1) / kChannelPack * kChannelPack : channels;
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
  torch::autograd::SavedVariable x;
  torch::autograd::SavedVariable y;          ///< only behind a ReLU that no bias precedes
  torch::autograd::SavedVariable parameter;  ///< saved, so that autograd refuses one that changed meanwhile
  at::Tensor weight;                         ///< as the product read it, padded
  at::Tensor gate;                           ///< of add_bias_and_relu()
  at::Tensor from;                           ///< of Pooled: only behind a pool
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
    at::Tensor of_bias;
    if (relu && has_bias) {
      of_bias = in_place ? convolution.bias.grad() : at::zeros_like(convolution.bias.detach());
      grad_y =
          from.defined() ? gradient_behind_pool(grad_y, from, of_bias) : gradient_behind_relu(grad_y, gate, of_bias);
    } else if (relu) {
      grad_y = at::threshold_backward(grad_y, y.unpack(shared_from_this()), 0);
    }
    grad_y = padded(grad_y, grad_y.size(0), weight.size(0));
    const bool sums_bias = has_bias && !of_bias.defined();
    const std::vector<std::int64_t> bias_size = {weight.size(0)};
    auto [of_x, of_weight, summed] = at::convolution_backward(
        grad_y, x_padded, weight, sums_bias ? at::OptionalIntArrayRef(bias_size) : std::nullopt,
        {convolution.stride, convolution.stride}, padding_of(convolution), {convolution.dilation, convolution.dilation},
        /*transposed=*/false, /*output_padding=*/{0, 0}, /*groups=*/1,
        {task_should_compute_output(0), task_should_compute_output(1), sums_bias});
    of_x = unpadded(of_x, x_nchw.size(0), in);
    of_weight = unpadded(of_weight, out, in);
    if (in_place) {
      add_gradient(convolution.weight, of_weight);
      add_gradient(convolution.bias, sums_bias ? summed.narrow(0, 0, out) : at::Tensor());
      return {of_x, at::Tensor(), at::Tensor()};
    }
    return {of_x, of_weight, sums_bias ? summed.narrow(0, 0, out) : of_bias};
  }

  void release_variables() override {
    for (auto* saved : {&x, &y, &parameter}) {
      saved->reset_data();
    }
    gate.reset();
    from.reset();
  }
};

/// Of padded x and weight, without what was padded. The bias is left to the epilogue where a ReLU follows it.
at::Tensor product(const at::Tensor& x, const at::Tensor& weight, const Convolution& convolution, bool adds_bias) {
  const std::int64_t out = convolution.weight.size(0);
  const bool is_padded = weight.size(0) != out;
  const at::Tensor bias = adds_bias ? convolution.bias.detach().to(x.scalar_type()) : at::Tensor();
  const at::Tensor y = at::conv2d(x, weight, is_padded ? at::Tensor() : bias, convolution.stride,
                                  padding_of(convolution), convolution.dilation);
  const at::Tensor found = unpadded(y, y.size(0), out).contiguous(at::MemoryFormat::ChannelsLast);
  return is_padded && adds_bias ? found.add_(bias.view({1, -1, 1, 1})) : found;
}

enum class Epilogue { none, relu, relu_and_pool };

at::Tensor convolve_fused(const at::Tensor& x_nchw, const Convolution& convolution, const FusedOptions& options,
                          Epilogue epilogue) {
  const at::Tensor x = compact(x_nchw, options.compute);
  const bool has_bias = convolution.bias.defined();
  const bool is_one_pass = has_bias && epilogue != Epilogue::none;
  at::Tensor weight = in_compute_type(convolution.weight, options);
  at::Tensor y, gate, from;
  const bool is_differentiated = c10::GradMode::is_enabled();
  {
    const c10::NoGradGuard no_grad;
    weight = padded(weight, padded_size(weight.size(0), options), padded_size(weight.size(1), options));
    y = product(padded(x.detach(), x.size(0), weight.size(1)), weight, convolution, has_bias && !is_one_pass);
    if (epilogue == Epilogue::relu_and_pool) {
      const Pooled pooled = add_bias_relu_and_pool(y, convolution.bias.detach());
      y = pooled.y;
      from = pooled.from;
    } else if (is_one_pass) {
      gate = add_bias_and_relu(y, convolution.bias.detach(), is_differentiated);
    } else if (epilogue == Epilogue::relu) {
      y.relu_();
    }
  }
  if (is_differentiated) {
    const auto node = std::shared_ptr<ConvolutionBackward>(new ConvolutionBackward(), torch::autograd::deleteNode);
    node->set_next_edges(torch::autograd::collect_next_edges(x, convolution.weight, convolution.bias));
    node->x = torch::autograd::SavedVariable(x, /*is_output=*/false);
    node->parameter = torch::autograd::SavedVariable(convolution.weight, /*is_output=*/false);
    node->weight = weight;
    node->gate = gate;
    node->from = from;
    node->convolution = convolution;
    node->relu = epilogue != Epilogue::none;
    node->in_place = options.gradients_in_place;
    torch::autograd::set_history(y, node);
    if (epilogue == Epilogue::relu && !has_bias) {
      node->y = torch::autograd::SavedVariable(y, /*is_output=*/true);
    }
  }
  return y;
}

}  // namespace

at::Tensor in_compute_type(const at::Tensor& parameter, const FusedOptions& options) {
  const at::Tensor detached = parameter.detach();
  if (!options.flat_weights.defined()) {
    return detached.to(options.compute);
  }
  return options.flat_weights.as_strided(detached.sizes(), detached.strides(), detached.storage_offset());
}

at::Tensor convolve_fused(const at::Tensor& x_nchw, const Convolution& convolution, const FusedOptions& options,
                          Activation activation) {
  return convolve_fused(x_nchw, convolution, options, activation == Activation::relu ? Epilogue::relu : Epilogue::none);
}

at::Tensor convolve_fused_and_pool(const at::Tensor& x_nchw, const Convolution& convolution,
                                   const FusedOptions& options) {
  return convolve_fused(x_nchw, convolution, options, Epilogue::relu_and_pool);
}

}  // namespace xtasc::kernels
