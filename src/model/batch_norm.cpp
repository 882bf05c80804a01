#include "model/batch_norm.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "model/batch_norm_kernels.hpp"

namespace xtasc::model {

namespace {

constexpr double kEpsilon = 1e-5;
constexpr double kMomentum = 0.1;

/// All (C), float64.
struct Statistics {
  at::Tensor mean, inverse_deviation;
};

struct Affine {
  at::Tensor scale, shift;  ///< (C): float32, or float64 when x is
};

/// Per-channel numbers are float64 while they are combined and leave in the kernel's type.
at::Tensor for_kernel(const at::Tensor& by_channel, const at::Tensor& x) {
  return by_channel.to(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
}

/// [sum (C), dot (C), count], summed over the ranks in one message.
struct GlobalSums {
  at::Tensor sum, dot, count;
};

GlobalSums sum_globally(const ChannelSums& local, double local_count, const SumOverRanks& sum_over_ranks) {
  const std::int64_t channels = local.sum.numel();
  const at::Tensor all = at::cat({local.sum, local.dot, at::full({1}, local_count, local.sum.options())});
  if (sum_over_ranks) {
    sum_over_ranks(all);
  }
  return {all.narrow(0, 0, channels), all.narrow(0, channels, channels), all.narrow(0, 2 * channels, 1)};
}

class BatchNormBackward final : public torch::autograd::Node {
 public:
  torch::autograd::SavedVariable x, weight;
  Statistics statistics;
  Affine affine;
  at::Tensor count;
  SumOverRanks sum_over_ranks;
  bool relu = false;

  /// Gradients of x, weight and bias. The last two are this rank's share, as for every other parameter; that of x needs
  /// the sums of all ranks, since every image moved the mean and the variance.
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    const CauseMark mark("batch norm");
    const at::Tensor x_nchw = x.unpack();
    const at::Tensor grad_y = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const ChannelSums local = sums_of_gradient(grad_y, x_nchw, affine.scale, affine.shift, relu);
    const auto& [mean, inverse_deviation] = statistics;
    const at::Tensor grad_bias = local.sum;
    const at::Tensor grad_weight = (local.dot - local.sum * mean) * inverse_deviation;

    const GlobalSums global = sum_globally(local, 0.0, sum_over_ranks);
    const at::Tensor weight_64 = weight.unpack().to(at::kDouble);
    const at::Tensor a = weight_64 * inverse_deviation;
    const at::Tensor normalised_dot = (global.dot - global.sum * mean) * inverse_deviation / count;
    const at::Tensor b = -a * inverse_deviation * normalised_dot;
    const at::Tensor c = -a * global.sum / count - b * mean;
    const at::Tensor grad_x = gradient_of_x(grad_y, x_nchw, affine.scale, affine.shift, relu, for_kernel(a, x_nchw),
                                            for_kernel(b, x_nchw), for_kernel(c, x_nchw));
    const auto dtype = weight.unpack().scalar_type();
    return {grad_x, grad_weight.to(dtype), grad_bias.to(dtype)};
  }

  void release_variables() override {
    x.reset_data();
    weight.reset_data();
  }
};

Affine affine_of(const Statistics& statistics, const BatchNorm& norm, const at::Tensor& x) {
  const at::Tensor scale = norm.weight.detach().to(at::kDouble) * statistics.inverse_deviation;
  const at::Tensor shift = norm.bias.detach().to(at::kDouble) - statistics.mean * scale;
  return {for_kernel(scale, x), for_kernel(shift, x)};
}

void move_running(const BatchNorm& norm, const at::Tensor& mean, const at::Tensor& variance, const at::Tensor& count) {
  const auto dtype = norm.running_mean.scalar_type();
  norm.running_mean.lerp_(mean.to(dtype), kMomentum);
  norm.running_var.lerp_((variance * count / (count - 1.0)).to(dtype), kMomentum);
}

at::Tensor train(const at::Tensor& x, const BatchNorm& norm, const Mode& mode, bool relu) {
  const auto node = std::shared_ptr<BatchNormBackward>(new BatchNormBackward(), torch::autograd::deleteNode);
  const bool needs_gradient =
      c10::GradMode::is_enabled() && (x.requires_grad() || norm.weight.requires_grad() || norm.bias.requires_grad());
  if (needs_gradient) {
    node->set_next_edges(torch::autograd::collect_next_edges(x, norm.weight, norm.bias));
  }
  at::Tensor y;
  {
    const c10::NoGradGuard no_grad;
    const auto local_count = static_cast<double>(x.size(0) * x.size(2) * x.size(3));
    check(mode.sum_over_ranks || local_count > 1.0,
          "batch norm: one value a channel (batch {} at {} x {}); a larger image or batch is needed", x.size(0),
          x.size(2), x.size(3));
    const GlobalSums global = sum_globally(sums_of_x(x.detach()), local_count, mode.sum_over_ranks);
    const at::Tensor mean = global.sum / global.count;
    const at::Tensor variance = (global.dot / global.count - mean * mean).clamp_min(0.0);
    node->statistics = {mean, (variance + kEpsilon).rsqrt()};
    node->affine = affine_of(node->statistics, norm, x);
    node->count = global.count;
    if (mode.moves_running_statistics) {
      move_running(norm, mean, variance, global.count);
    }
    y = scale_shift(x.detach(), node->affine.scale, node->affine.shift, relu);
  }
  if (needs_gradient) {
    node->x = torch::autograd::SavedVariable(x, /*is_output=*/false);
    node->weight = torch::autograd::SavedVariable(norm.weight, /*is_output=*/false);
    node->sum_over_ranks = mode.sum_over_ranks;
    node->relu = relu;
    torch::autograd::set_history(y, node);
  }
  return y;
}

bool is_folded(const BatchNorm& norm) {
  return !norm.weight.defined();
}

Statistics running_statistics(const BatchNorm& norm) {
  return {norm.running_mean.to(at::kDouble), (norm.running_var.to(at::kDouble) + kEpsilon).rsqrt()};
}

}  // namespace

void fold(Convolution& convolution, BatchNorm& norm) {
  const c10::NoGradGuard no_grad;
  const auto dtype = convolution.weight.scalar_type();
  const auto [mean, inverse_deviation] = running_statistics(norm);
  const at::Tensor scale = norm.weight.to(at::kDouble) * inverse_deviation;
  const at::Tensor centre = convolution.bias.defined() ? mean - convolution.bias.to(at::kDouble) : mean;
  convolution.weight = (convolution.weight.to(at::kDouble) * scale.view({-1, 1, 1, 1}))
                           .to(dtype)
                           .contiguous(at::MemoryFormat::ChannelsLast);
  convolution.bias = (norm.bias.to(at::kDouble) - centre * scale).to(dtype);
  norm = {};
}

Activation before_norm(const BatchNorm& norm, Activation activation) {
  return is_folded(norm) ? activation : Activation::none;
}

at::Tensor batch_norm(const at::Tensor& x_nchw, const BatchNorm& norm, const Mode& mode, Activation activation) {
  if (is_folded(norm)) {
    check(!mode.training, "batch norm: a norm that was folded into its convolution cannot be trained");
    return x_nchw;
  }
  const CauseMark mark("batch norm");
  const at::Tensor x = x_nchw.contiguous(at::MemoryFormat::ChannelsLast);
  const bool relu = activation == Activation::relu;
  if (mode.training) {
    return train(x, norm, mode, relu);
  }
  check(!c10::GradMode::is_enabled(), "batch norm by running statistics has no backward: call it without gradients");
  const Affine affine = affine_of(running_statistics(norm), norm, x);
  return scale_shift(x, affine.scale, affine.shift, relu);
}

}  // namespace xtasc::model
