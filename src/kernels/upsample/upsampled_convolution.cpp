#include "kernels/upsample/upsampled_convolution.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <vector>

#include "kernels/convolution_parts.hpp"
#include "kernels/tiles/tiled_convolution.hpp"
#include "kernels/upsample/upsampled_avx512.hpp"

namespace xtasc::kernels {

namespace {

/// As ATen's upsample_bilinear2d with aligned corners.
class Interpolation {
 public:
  explicit Interpolation(std::int64_t small)
      : small_(small), index_(static_cast<std::size_t>(4 * small)), weight_(index_.size()) {
    const double scale = static_cast<double>(small - 1) / static_cast<double>(2 * small - 1);
    for (std::int64_t row = 0; row < 2 * small; ++row) {
      const double position = scale * static_cast<double>(row);
      const auto below = static_cast<std::int64_t>(position);
      const auto at = static_cast<std::size_t>(2 * row);
      index_[at] = below;
      index_[at + 1] = std::min(below + 1, small - 1);
      weight_[at + 1] = position - static_cast<double>(below);
      weight_[at] = 1.0 - weight_[at + 1];
    }
  }

  [[nodiscard]] upsampled::Side side() const { return {small_, index_.data(), weight_.data()}; }

 private:
  std::int64_t small_;
  std::vector<std::int64_t> index_;
  std::vector<double> weight_;
};

/// y = or += the upsampled part.
void run_forward(const Joined& low, const Convolution& convolution, bool adds, bool relu, const at::Tensor& y) {
  const auto element = parts::element_of(y.scalar_type());
  const std::int64_t in = parts::channels_of(low);
  const at::Tensor panel = parts::transformed(convolution.weight, {0, in}, /*backward=*/false, y.scalar_type(), 9,
                                              upsampled::transform_weight);
  const Interpolation rows(low.first.size(2));
  const Interpolation columns(low.first.size(3));
  const upsampled::Forward work = {.size = parts::size_of(low.first),
                                   .rows = rows.side(),
                                   .columns = columns.side(),
                                   .x = parts::source_of(low),
                                   .panel = panel.const_data_ptr(),
                                   .bias = convolution.bias.defined() ? convolution.bias.const_data_ptr() : nullptr,
                                   .adds = adds,
                                   .relu = relu,
                                   .y = y.mutable_data_ptr(),
                                   .out = y.size(1)};
  const std::int64_t count = upsampled::num_parts(element, work.size, work.out);
  const parts::PerThread scratch(parts::parts_for(count), upsampled::forward_bytes(element, work.size, work.out));
  parts::share(count, parts::parts_for(count), [&](std::int64_t part, std::int64_t first, std::int64_t last) {
    upsampled::forward(element, work, first, last, scratch.of(part));
  });
}

struct Gradients {
  Joined low;
  at::Tensor weight;  ///< the slice of `low` is written
  at::Tensor bias;
};

void run_backward(const Joined& low, const at::Tensor& grad_y, const at::Tensor& gate, const at::Tensor& weight,
                  Gradients& gradients) {
  const auto element = parts::element_of(grad_y.scalar_type());
  const std::int64_t in = parts::channels_of(low);
  const std::int64_t out = grad_y.size(1);
  const at::Tensor panel =
      parts::transformed(weight, {0, in}, /*backward=*/true, grad_y.scalar_type(), 9, upsampled::transform_weight);
  const Interpolation rows(low.first.size(2));
  const Interpolation columns(low.first.size(3));
  gradients.low = parts::empty_like(low);
  upsampled::Backward work = {.size = parts::size_of(low.first),
                              .rows = rows.side(),
                              .columns = columns.side(),
                              .x = parts::source_of(low),
                              .grad_y = parts::source_of({grad_y, {}}),
                              .panel = panel.const_data_ptr(),
                              .grad_x = parts::target_of(gradients.low)};
  work.grad_y.gate = gate.defined() ? gate.const_data_ptr() : nullptr;
  const std::int64_t num_parts = parts::parts_for(work.size.images);
  const auto wide = static_cast<std::int64_t>(weight.itemsize());
  const parts::PerThread sums(num_parts, 9 * in * out * wide);
  const parts::PerThread bias(num_parts, out * wide);
  const parts::PerThread scratch(num_parts, upsampled::backward_bytes(element, work.size, in, out));
  parts::share(work.size.images, num_parts, [&](std::int64_t part, std::int64_t first, std::int64_t last) {
    upsampled::backward(element, work, first, last, sums.zeros_of(part), bias.zeros_of(part), scratch.of(part));
  });
  parts::finish_gradient(sums, {0, in}, gradients.weight, upsampled::finish_weight_gradient);
  gradients.bias = parts::sum_of_bias(bias, weight.scalar_type());
}

/// The part of a weight that meets the skip, as oneDNN reads it.
at::Tensor weight_of_skip(const at::Tensor& weight_oihw, const parts::Slice& slice) {
  return compact(weight_oihw.detach().narrow(1, slice.offset, slice.size), at::kBFloat16);
}

/// y = the skip's part of a convolution.
at::Tensor skip_part(const at::Tensor& skip, const Convolution& convolution, const parts::Slice& slice) {
  if (multiplies_tiles(skip.scalar_type())) {
    const Convolution unbiased = {.weight = convolution.weight, .bias = {}, .padding = 1};
    return tiles::product(skip, weight_of_skip(convolution.weight, slice), unbiased, Activation::none);
  }
  const at::Tensor y = parts::empty_maps(parts::size_of(skip), convolution.weight.size(0), skip);
  parts::run({.x = {skip, {}}, .gate = {}, .weight = convolution.weight, .bias = {}, .slice = slice, .y = {y, {}}});
  return y;
}

/// The gradient of the skip; writes its slice of the weight's. \param gate  of the ReLU behind, or undefined
at::Tensor skip_gradient(const at::Tensor& skip, const at::Tensor& grad_y, const at::Tensor& gate,
                         const at::Tensor& weight_oihw, const parts::Slice& slice, const at::Tensor& of_weight) {
  if (multiplies_tiles(skip.scalar_type())) {
    auto [of_skip, of_slice, none] = at::convolution_backward(
        grad_y, skip, weight_of_skip(weight_oihw, slice), std::nullopt, /*stride=*/{1, 1}, /*padding=*/{1, 1},
        /*dilation=*/{1, 1}, /*transposed=*/false, /*output_padding=*/{0, 0}, /*groups=*/1, {true, true, false});
    of_weight.narrow(1, slice.offset, slice.size).copy_(of_slice);
    return of_skip;
  }
  const Joined only = {skip, {}};
  const Joined grad = parts::empty_like(only);
  parts::run({.x = {grad_y, {}},
              .gate = gate,
              .weight = weight_oihw,
              .bias = {},
              .slice = slice,
              .backward = true,
              .y = grad});
  static_cast<void>(parts::gradient_of_weight(only, grad_y, gate, slice, of_weight));
  return grad.first;
}

class UpsampledBackward final : public torch::autograd::Node {
 public:
  torch::autograd::SavedVariable first, second, skip, weight, y;  ///< y: only behind a ReLU
  bool relu = false;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    const Joined low = {first.unpack(), second.unpack()};
    const at::Tensor skip_nchw = skip.unpack();
    const at::Tensor weight_oihw = weight.unpack();
    at::Tensor grad_y = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor gate = relu ? y.unpack(shared_from_this()) : at::Tensor();
    if (gate.defined() && skip_nchw.defined() && multiplies_tiles(gate.scalar_type())) {
      grad_y = tiles::behind_relu(grad_y, gate).gradient;  // for oneDNN, which knows no gate
      gate.reset();
    }
    Gradients found;
    found.weight =
        at::empty_like(weight_oihw, weight_oihw.options().requires_grad(false), at::MemoryFormat::ChannelsLast);
    run_backward(low, grad_y, gate, weight_oihw, found);
    at::Tensor grad_skip;
    if (skip_nchw.defined()) {
      const parts::Slice slice = {parts::channels_of(low), skip_nchw.size(1)};
      grad_skip = skip_gradient(skip_nchw, grad_y, gate, weight_oihw, slice, found.weight);
    }
    return {found.low.first, found.low.second, grad_skip, found.weight, found.bias};
  }

  void release_variables() override {
    for (auto* saved : {&first, &second, &skip, &weight, &y}) {
      saved->reset_data();
    }
  }
};

}  // namespace

bool suits_low_size(const Joined& low, const at::Tensor& skip, const Convolution& convolution, at::ScalarType compute) {
  constexpr std::int64_t kFewestPixels = 384;
  return parts::suits_kernels(low, convolution, compute) &&
         low.first.size(0) * low.first.size(2) * low.first.size(3) >= kFewestPixels &&
         (!skip.defined() || parts::suits_kernels({skip, {}}, convolution, compute));
}

at::Tensor convolve_upsampled_at_low_size(const Joined& low, const at::Tensor& skip, const Convolution& convolution,
                                          at::ScalarType compute, Activation activation) {
  const Joined in = {compact(low.first, compute), compact(low.second, compute)};
  const at::Tensor skip_in = compact(skip, compute);
  const bool relu = activation == Activation::relu;
  at::Tensor y;
  {
    const c10::NoGradGuard no_grad;
    const auto size = parts::size_of(in.first);
    y = skip_in.defined()
            ? skip_part(skip_in, convolution, {parts::channels_of(in), skip_in.size(1)})
            : parts::empty_maps({size.images, 2 * size.height, 2 * size.width}, convolution.weight.size(0), in.first);
    run_forward(in, convolution, /*adds=*/skip_in.defined(), relu, y);
  }
  if (c10::GradMode::is_enabled()) {
    const auto node = std::shared_ptr<UpsampledBackward>(new UpsampledBackward(), torch::autograd::deleteNode);
    node->set_next_edges(
        torch::autograd::collect_next_edges(in.first, in.second, skip_in, convolution.weight, convolution.bias));
    node->first = torch::autograd::SavedVariable(in.first, /*is_output=*/false);
    node->second = torch::autograd::SavedVariable(in.second, /*is_output=*/false);
    node->skip = torch::autograd::SavedVariable(skip_in, /*is_output=*/false);
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
