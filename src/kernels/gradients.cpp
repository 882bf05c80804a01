#include "kernels/gradients.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "core/cuda_forms.hpp"

namespace xtasc::kernels {

void add_gradient(const at::Tensor& parameter, const at::Tensor& gradient) {
  if (gradient.defined()) {
    const c10::NoGradGuard no_grad;
    const KernelMark mark("gradients: added", static_cast<std::int64_t>(2 * parameter.nbytes() + gradient.nbytes()));
    parameter.mutable_grad().add_(gradient);
  }
}

}  // namespace xtasc::kernels
