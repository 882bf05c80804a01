#pragma once

#include <ATen/core/Tensor.h>

namespace xtasc::kernels {

/// Adds to the gradient of a parameter where it lies, in one launch whatever the two types. Undefined is nothing.
///
/// Nodes that do so hand autograd an undefined gradient for the parameter. It still tells the parameter's hook, so
/// whoever waits for the gradient (dist::GradientSync) is told once, and when it is there.
void add_gradient(const at::Tensor& parameter, const at::Tensor& gradient);

}  // namespace xtasc::kernels
