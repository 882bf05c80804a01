#pragma once

#include <ATen/core/Tensor.h>

namespace xtasc::model {

/// Adds to the gradient of a parameter where it lies, in one launch whatever the two types, and tells whoever waits for
/// it (dist::GradientSync), as autograd does at a leaf. Undefined gradients are none.
void add_gradient(const at::Tensor& parameter, const at::Tensor& gradient);

/// Tells that the gradient of a parameter is complete, its own kernel having added to it. Undefined is none.
void gradient_is_there(const at::Tensor& parameter);

}  // namespace xtasc::model
