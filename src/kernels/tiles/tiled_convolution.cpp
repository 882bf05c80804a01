#include "kernels/tiles/tiled_convolution.hpp"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/cpu/Utils.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <cstdlib>
#include <string_view>
#include <vector>

#include "kernels/convolution_parts.hpp"
#include "kernels/cpu_loops.hpp"
#include "kernels/gradients.hpp"
#include "kernels/tiles/behind_relu_avx512.hpp"

namespace xtasc::kernels {

namespace {

class TiledBackward final : public torch::autograd::Node {
 public:
  torch::autograd::SavedVariable x, y;       ///< y: only behind a ReLU
  torch::autograd::SavedVariable parameter;  ///< saved, so that autograd refuses one that changed meanwhile
  at::Tensor weight;                         ///< bfloat16
  Convolution convolution;
  bool relu = false;
  bool in_place = false;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    static_cast<void>(parameter.unpack());
    const bool has_bias = convolution.bias.defined();
    tiles::BehindRelu behind = {gradients[0].contiguous(at::MemoryFormat::ChannelsLast), {}};
    if (relu) {
      behind = tiles::behind_relu(behind.gradient, y.unpack(shared_from_this()));
    }
    const bool sums_bias = has_bias && !relu;
    const std::vector<std::int64_t> bias_size = {weight.size(0)};
    auto [of_x, of_weight, of_bias] = at::convolution_backward(
        behind.gradient, x.unpack(), weight, sums_bias ? at::OptionalIntArrayRef(bias_size) : std::nullopt,
        {convolution.stride, convolution.stride}, padding_of(convolution), {convolution.dilation, convolution.dilation},
        /*transposed=*/false, /*output_padding=*/{0, 0}, /*groups=*/1,
        {task_should_compute_output(0), task_should_compute_output(1), sums_bias});
    if (relu && has_bias) {
      of_bias = behind.of_bias;
    }
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

bool asks_for_none(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && std::string_view(value) == "0";
}

}  // namespace

namespace tiles {

at::Tensor product(const at::Tensor& x_nchw, const at::Tensor& weight, const Convolution& convolution,
                   Activation activation) {
  using Pointwise = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                               c10::SymIntArrayRef, c10::SymIntArrayRef, c10::SymIntArrayRef, std::int64_t,
                               std::string_view, c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const auto pointwise =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_convolution_pointwise", "").typed<Pointwise>();
  const auto padding = padding_of(convolution);
  const std::array<c10::SymInt, 2> padded = {padding[0], padding[1]};
  const std::array<c10::SymInt, 2> stride = {convolution.stride, convolution.stride};
  const std::array<c10::SymInt, 2> dilation = {convolution.dilation, convolution.dilation};
  const std::optional<at::Tensor> bias =
      convolution.bias.defined() ? std::optional(convolution.bias.detach().to(at::kBFloat16)) : std::nullopt;
  return pointwise
      .call(x_nchw, weight, bias, padded, stride, dilation, /*groups=*/1,
            activation == Activation::relu ? "relu" : "none", c10::List<std::optional<at::Scalar>>(), std::nullopt)
      .contiguous(at::MemoryFormat::ChannelsLast);
}

BehindRelu behind_relu(const at::Tensor& grad_y, const at::Tensor& y) {
  const std::int64_t channels = y.size(1);
  const std::int64_t pixels = y.size(0) * y.size(2) * y.size(3);
  const std::int64_t blocks = (pixels + kPixelsOfSum - 1) / kPixelsOfSum;
  const std::int64_t num_parts = parts::parts_for(blocks);
  const at::Tensor gradient = parts::empty_maps(parts::size_of(y), channels, y);
  const parts::PerThread sums(num_parts, channels * static_cast<std::int64_t>(sizeof(double)));
  const BehindReluWork work = {data_of<const std::uint16_t>(grad_y), data_of<const std::uint16_t>(y),
                               data_of<std::uint16_t>(gradient), channels};
  parts::share(blocks, num_parts, [&](std::int64_t part, std::int64_t first, std::int64_t last) {
    take_behind_relu(work, first * kPixelsOfSum, std::min(last * kPixelsOfSum, pixels),
                     static_cast<double*>(sums.zeros_of(part)));
  });
  return {gradient, sums.memory().view(at::kDouble).sum(0).to(at::kFloat)};
}

}  // namespace tiles

bool multiplies_tiles(at::ScalarType compute) {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  static const bool has_tiles = !asks_for_none("XTASC_AMX") && winograd::is_supported(winograd::Element::bfloat16) &&
                                __builtin_cpu_supports("amx-bf16") != 0 && at::cpu::init_amx();
#else
  static const bool has_tiles = false;
#endif
  return has_tiles && compute == at::kBFloat16;
}

bool suits_tiles(const Joined& x, const Convolution& convolution, at::ScalarType compute) {
  return multiplies_tiles(compute) && takes_loops(x.first) && x.first.numel() > 0 &&
         convolution.weight.scalar_type() == at::kFloat;
}

at::Tensor convolve_by_tiles(const Joined& x, const Convolution& convolution, Activation activation,
                             bool gradients_in_place) {
  const at::Tensor joined =
      compact(x.second.defined() ? at::cat({x.first.to(at::kBFloat16), x.second.to(at::kBFloat16)}, 1) : x.first,
              at::kBFloat16);
  const bool relu = activation == Activation::relu;
  const bool is_differentiated = c10::GradMode::is_enabled();
  at::Tensor weight, y;
  {
    const c10::NoGradGuard no_grad;
    weight = convolution.weight.to(at::kBFloat16);
    y = tiles::product(joined.detach(), weight, convolution, activation);
  }
  if (is_differentiated) {
    const auto node = std::shared_ptr<TiledBackward>(new TiledBackward(), torch::autograd::deleteNode);
    node->set_next_edges(torch::autograd::collect_next_edges(joined, convolution.weight, convolution.bias));
    node->x = torch::autograd::SavedVariable(joined, /*is_output=*/false);
    node->parameter = torch::autograd::SavedVariable(convolution.weight, /*is_output=*/false);
    node->weight = weight;
    node->convolution = convolution;
    node->relu = relu;
    node->in_place = gradients_in_place;
    torch::autograd::set_history(y, node);
    if (relu) {
      node->y = torch::autograd::SavedVariable(y, /*is_output=*/true);
    }
  }
  return y;
}

}  // namespace xtasc::kernels
