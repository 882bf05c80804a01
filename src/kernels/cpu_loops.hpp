#pragma once

#include <ATen/core/Tensor.h>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "kernels/element.hpp"
#include "kernels/recorded.hpp"

/// For operations whose own loops are for the CPU alone: other devices, who looks at their forms, and who records a
/// graph take ATen's operations.
namespace xtasc::kernels {

inline bool takes_loops(const at::Tensor& x) {
  return x.is_cpu() && !takes_cuda_form(x) && !is_recorded();
}

template <typename T>
T* data_of(const at::Tensor& x) {
  return static_cast<T*>(x.mutable_data_ptr());
}

/// Calls f with a null pointer to the tensor's elements. \param what  for the message
template <typename F>
void with_element_type(const at::Tensor& x, const char* what, const F& f) {
  switch (x.scalar_type()) {
    case at::kFloat:
      return f(static_cast<float*>(nullptr));
    case at::kDouble:
      return f(static_cast<double*>(nullptr));
    case at::kBFloat16:
      return f(static_cast<Bfloat16Bits*>(nullptr));
    default:
      fail("{}: {} is not supported, use float32, float64 or bfloat16", what, c10::toString(x.scalar_type()));
  }
}

}  // namespace xtasc::kernels
