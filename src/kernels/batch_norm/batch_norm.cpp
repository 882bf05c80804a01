#include "kernels/batch_norm/batch_norm.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "kernels/batch_norm/batch_norm_training.hpp"
#include "kernels/epilogue/epilogue.hpp"

namespace xtasc::kernels {

namespace {

class BatchNormBackward final : public torch::autograd::Node {
 public:
  torch::autograd::SavedVariable x, weight;
  torch::autograd::SavedVariable y;  ///< only where a residual was added
  NormStatistics statistics;
  SumOverRanks sum_over_ranks;
  bool relu = false;
  bool adds = false;   ///< a residual, before the ReLU, which is then not the norm's
  BatchNorm in_place;  ///< the parameters whose gradients are added where they lie, if they are

  /// Gradients of x, weight, bias, the bias left out in front, whose is zero, and the residual. Those of weight and
  /// bias are this rank's share, as for every other parameter; that of x needs the sums of all ranks.
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    const CauseMark mark("batch norm");
    const at::Tensor weight_c = weight.unpack().detach();
    at::Tensor grad_y = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor of_residual;
    if (adds) {
      const CauseMark gate("residuals");
      of_residual = grad_y = at::threshold_backward(grad_y, y.unpack(shared_from_this()), 0);
    }
    const NormOperands in = {grad_y, x.unpack(), statistics.scale, statistics.shift};
    if (in_place.weight.defined()) {
      const NormGradients there = {in_place.weight.grad(), in_place.bias.grad()};
      const NormGradientFactors factors = gradient_factors(in, statistics, weight_c, there, relu, sum_over_ranks);
      return {gradient_of_x(in, relu, factors), at::Tensor(), at::Tensor(), at::Tensor(), of_residual};
    }
    const at::Tensor own = at::zeros({2, weight_c.numel()}, weight_c.options());
    const NormGradientFactors factors =
        gradient_factors(in, statistics, weight_c, {own[0], own[1]}, relu, sum_over_ranks);
    return {gradient_of_x(in, relu, factors), own[0], own[1], at::Tensor(), of_residual};
  }

  void release_variables() override {
    for (auto* saved : {&x, &weight, &y}) {
      saved->reset_data();
    }
  }
};

}  // namespace

at::Tensor train_batch_norm(const at::Tensor& x, const BatchNorm& norm, const NormSurroundings& around,
                            const NormOptions& options) {
  const auto node = std::shared_ptr<BatchNormBackward>(new BatchNormBackward(), torch::autograd::deleteNode);
  const bool adds = around.residual.defined();
  const bool relu = around.activation == Activation::relu && !adds;
  const auto is_wanted = [](const at::Tensor& t) { return t.defined() && t.requires_grad(); };
  const bool needs_gradient = c10::GradMode::is_enabled() && (is_wanted(x) || is_wanted(norm.weight) ||
                                                              is_wanted(norm.bias) || is_wanted(around.residual));
  if (needs_gradient) {
    node->set_next_edges(
        torch::autograd::collect_next_edges(x, norm.weight, norm.bias, around.left_out, around.residual));
  }
  at::Tensor y;
  {
    const c10::NoGradGuard no_grad;
    check(options.sum_over_ranks || norm_count(x) > 1.0,
          "batch norm: one value a channel (batch {} at {} x {}); a larger image or batch is needed", x.size(0),
          x.size(2), x.size(3));
    check(norm.weight.scalar_type() == norm_real_type(x), "batch norm: weights are {}, activations {}",
          c10::toString(norm.weight.scalar_type()), c10::toString(x.scalar_type()));
    NormTensors tensors = {norm.weight.detach(), norm.bias.detach()};
    if (options.moves_running_statistics) {
      tensors.running_mean = norm.running_mean;
      tensors.running_var = norm.running_var;
      tensors.bias_of_x = around.left_out.defined() ? around.left_out.detach() : at::Tensor();
    }
    node->statistics = statistics_of(x.detach(), tensors, options.sum_over_ranks);
    const NormStatistics& found = node->statistics;
    y = adds ? scale_shift_add_and_relu(x.detach(), found.scale, found.shift, around.residual.detach())
             : scale_shift(x.detach(), found.scale, found.shift, relu);
  }
  if (needs_gradient) {
    node->x = torch::autograd::SavedVariable(x, /*is_output=*/false);
    node->weight = torch::autograd::SavedVariable(norm.weight, /*is_output=*/false);
    node->sum_over_ranks = options.sum_over_ranks;
    node->relu = relu;
    node->adds = adds;
    if (options.gradients_in_place) {
      node->in_place = norm;
    }
    torch::autograd::set_history(y, node);
    if (adds) {
      node->y = torch::autograd::SavedVariable(y, /*is_output=*/true);
    }
  }
  return y;
}

}  // namespace xtasc::kernels
