#include "model/batch_norm.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "kernels/batch_norm/batch_norm_training.hpp"

namespace xtasc::model {

namespace {

bool is_folded(const BatchNorm& norm) {
  return !norm.weight.defined();
}

/// weight / sqrt(running_var + epsilon), (C) float64.
at::Tensor running_scale(const BatchNorm& norm) {
  return norm.weight.detach().to(at::kDouble) * (norm.running_var.to(at::kDouble) + kernels::kNormEpsilon).rsqrt();
}

kernels::NormOptions options_of(const Mode& mode) {
  return {mode.sum_over_ranks, mode.moves_running_statistics, mode.gradients_in_place};
}

}  // namespace

void fold(Convolution& convolution, BatchNorm& norm) {
  const c10::NoGradGuard no_grad;
  const auto dtype = convolution.weight.scalar_type();
  const at::Tensor scale = running_scale(norm);
  const at::Tensor mean = norm.running_mean.to(at::kDouble);
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

Unbiased unbiased(const Convolution& convolution, const BatchNorm& norm, const Mode& mode) {
  Unbiased result = {convolution, {}};
  const bool is_cpu_form = convolution.weight.is_cpu() && !takes_cuda_form(convolution.weight);
  if (mode.training && mode.rewrites && !is_folded(norm) && !is_cpu_form) {
    result.left_out = std::exchange(result.convolution.bias, {});
  }
  return result;
}

at::Tensor batch_norm(const at::Tensor& x_nchw, const BatchNorm& norm, const Mode& mode, Activation activation,
                      const at::Tensor& left_out) {
  if (is_folded(norm)) {
    check(!mode.training, "batch norm: a norm that was folded into its convolution cannot be trained");
    return x_nchw;
  }
  const CauseMark mark("batch norm");
  const at::Tensor x = x_nchw.contiguous(at::MemoryFormat::ChannelsLast);
  const bool relu = activation == Activation::relu;
  if (mode.training) {
    return kernels::train_batch_norm(x, norm, {activation, left_out, {}}, options_of(mode));
  }
  check(!c10::GradMode::is_enabled(), "batch norm by running statistics has no backward: call it without gradients");
  const at::Tensor scale = running_scale(norm);
  const at::Tensor shift = norm.bias.detach().to(at::kDouble) - norm.running_mean.to(at::kDouble) * scale;
  const auto type = kernels::norm_real_type(x);
  return kernels::scale_shift(x, scale.to(type), shift.to(type), relu);
}

at::Tensor batch_norm_and_add(const at::Tensor& x_nchw, const BatchNorm& norm, const Mode& mode,
                              const at::Tensor& residual) {
  if (mode.training && mode.rewrites && !is_folded(norm) && (takes_cuda_form(x_nchw) || x_nchw.is_meta())) {
    const CauseMark mark("batch norm");
    return kernels::train_batch_norm(x_nchw.contiguous(at::MemoryFormat::ChannelsLast), norm,
                                     {Activation::relu, {}, residual}, options_of(mode));
  }
  return at::relu(batch_norm(x_nchw, norm, mode, Activation::none) + residual);
}

}  // namespace xtasc::model
