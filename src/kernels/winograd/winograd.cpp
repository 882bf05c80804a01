#include "kernels/winograd/winograd.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "core/cuda_forms.hpp"
#include "kernels/convolution_parts.hpp"
#include "kernels/recorded.hpp"
#include "kernels/tiles/tiled_convolution.hpp"

namespace xtasc::kernels {

namespace parts {

void run(const WinogradProduct& work) {
  const Element element = element_of(work.x.first.scalar_type());
  const at::Tensor panel =
      transformed(work.weight, work.slice, work.backward, work.x.first.scalar_type(), 16, winograd::transform_weight);
  winograd::Forward forward = {.size = size_of(work.x.first),
                               .x = source_of(work.x),
                               .panel = panel.const_data_ptr(),
                               .bias = work.bias.defined() ? work.bias.const_data_ptr() : nullptr,
                               .relu = work.relu,
                               .y = target_of(work.y)};
  forward.x.gate = work.gate.defined() ? work.gate.const_data_ptr() : nullptr;
  const std::int64_t count = winograd::num_blocks(forward.size);
  const PerThread scratch(parts_for(count), winograd::scratch_bytes(element, channels_of(work.x), channels_of(work.y)));
  share(count, parts_for(count), [&](std::int64_t part, std::int64_t first, std::int64_t last) {
    winograd::forward(element, forward, first, last, scratch.of(part));
  });
}

at::Tensor gradient_of_weight(const Joined& x, const at::Tensor& grad_y, const at::Tensor& gate, const Slice& slice,
                              const at::Tensor& gradient) {
  const Element element = element_of(x.first.scalar_type());
  winograd::WeightGradient work = {.size = size_of(x.first), .x = source_of(x), .grad_y = source_of({grad_y, {}})};
  work.grad_y.gate = gate.defined() ? gate.const_data_ptr() : nullptr;
  const std::int64_t out = gradient.size(0);
  const std::int64_t count = winograd::num_blocks(work.size);
  const std::int64_t num_parts = parts_for(count);
  const auto wide = static_cast<std::int64_t>(gradient.itemsize());
  const PerThread sums(num_parts, 16 * slice.size * out * wide);
  const PerThread bias(num_parts, out * wide);
  const PerThread scratch(num_parts, winograd::scratch_bytes(element, slice.size, out));
  share(count, num_parts, [&](std::int64_t part, std::int64_t first, std::int64_t last) {
    winograd::weight_gradient(element, work, first, last, sums.zeros_of(part), bias.zeros_of(part), scratch.of(part));
  });
  finish_gradient(sums, slice, gradient, winograd::finish_weight_gradient);
  return sum_of_bias(bias, gradient.scalar_type());
}

bool suits_kernels(const Joined& x, const Convolution& convolution, at::ScalarType compute) {
  const at::Tensor& weight = convolution.weight;
  const auto wide = compute == at::kDouble ? at::kDouble : at::kFloat;
  if (!x.first.is_cpu() || takes_cuda_form(x.first) || is_recorded() || x.first.numel() == 0 || weight.size(2) != 3 ||
      weight.size(3) != 3 || convolution.stride != 1 || convolution.padding != 1 || convolution.dilation != 1 ||
      weight.scalar_type() != wide || !weight.is_contiguous(at::MemoryFormat::ChannelsLast) ||
      !winograd::is_supported(element_of(compute))) {
    return false;
  }
  const std::int64_t lanes = winograd::lanes_of(element_of(compute));
  return weight.size(0) % lanes == 0 && x.first.size(1) % lanes == 0 &&
         (!x.second.defined() || x.second.size(1) % lanes == 0);
}

}  // namespace parts

namespace {

/// Below this many tiles the transforms of the weights cost more than the products save.
constexpr std::int64_t kFewestTiles = 384;

class WinogradBackward final : public torch::autograd::Node {
 public:
  torch::autograd::SavedVariable first, second, weight, y;  ///< y: only behind a ReLU
  bool relu = false;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    const Joined x = {first.unpack(), second.unpack()};
    const at::Tensor weight_oihw = weight.unpack();
    const parts::Slice all = {0, weight_oihw.size(1)};
    const at::Tensor grad_y = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor gate = relu ? y.unpack(shared_from_this()) : at::Tensor();
    torch::autograd::variable_list result(4);
    if (task_should_compute_output(0) || task_should_compute_output(1)) {
      const Joined grad_x = parts::empty_like(x);
      parts::run({.x = {grad_y, {}},
                  .gate = gate,
                  .weight = weight_oihw,
                  .bias = {},
                  .slice = all,
                  .backward = true,
                  .y = grad_x});
      result[0] = grad_x.first;
      result[1] = grad_x.second;
    }
    if (task_should_compute_output(2) || task_should_compute_output(3)) {
      result[2] =
          at::empty_like(weight_oihw, weight_oihw.options().requires_grad(false), at::MemoryFormat::ChannelsLast);
      result[3] = parts::gradient_of_weight(x, grad_y, gate, all, result[2]);
    }
    return result;
  }

  void release_variables() override {
    for (auto* saved : {&first, &second, &weight, &y}) {
      saved->reset_data();
    }
  }
};

}  // namespace

bool suits_winograd(const Joined& x, const Convolution& convolution, at::ScalarType compute) {
  return !multiplies_tiles(compute) && parts::suits_kernels(x, convolution, compute) &&
         x.first.size(0) * x.first.size(2) * x.first.size(3) / 4 >= kFewestTiles;
}

at::Tensor convolve_by_winograd(const Joined& x, const Convolution& convolution, at::ScalarType compute,
                                Activation activation) {
  const Joined in = {compact(x.first, compute), compact(x.second, compute)};
  const bool relu = activation == Activation::relu;
  at::Tensor y;
  {
    const c10::NoGradGuard no_grad;
    y = parts::empty_maps(parts::size_of(in.first), convolution.weight.size(0), in.first);
    parts::run({.x = in,
                .gate = {},
                .weight = convolution.weight,
                .bias = convolution.bias,
                .slice = {0, convolution.weight.size(1)},
                .relu = relu,
                .y = {y, {}}});
  }
  if (c10::GradMode::is_enabled()) {
    const auto node = std::shared_ptr<WinogradBackward>(new WinogradBackward(), torch::autograd::deleteNode);
    node->set_next_edges(
        torch::autograd::collect_next_edges(in.first, in.second, convolution.weight, convolution.bias));
    node->first = torch::autograd::SavedVariable(in.first, /*is_output=*/false);
    node->second = torch::autograd::SavedVariable(in.second, /*is_output=*/false);
    node->weight = torch::autograd::SavedVariable(convolution.weight, /*is_output=*/false);
    node->relu = relu;
    torch::autograd::set_history(y, node);
    if (relu) {
      node->y = torch::autograd::SavedVariable(y, /*is_output=*/true);
    }
  }
  return y;
}

}  // namespace xtasc::kernels
