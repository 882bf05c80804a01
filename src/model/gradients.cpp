#include "model/gradients.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "core/cuda_forms.hpp"

namespace xtasc::model {

void add_gradient(const at::Tensor& parameter, const at::Tensor& gradient) {
  if (gradient.defined()) {
    const c10::NoGradGuard no_grad;
    const KernelMark mark("gradients: added", 2 * static_cast<std::int64_t>(parameter.nbytes() + gradient.nbytes()));
    parameter.mutable_grad().add_(gradient);
    gradient_is_there(parameter);
  }
}

void gradient_is_there(const at::Tensor& parameter) {
  if (parameter.defined()) {
    if (const auto& hook = torch::autograd::impl::post_acc_grad_hooks(parameter)) {
      (*hook)(parameter);
    }
  }
}

}  // namespace xtasc::model
