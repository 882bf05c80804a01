#pragma once

#include <ATen/core/Tensor.h>

namespace xtasc::kernels {

// Whether numbers that pass by are finite, kept on the device as finite_element.hpp's FiniteState, (kFiniteStateSize)
// int64. Nothing waits for the device; memory is read once.

/// state[kIsBad] := 1 where a value is not finite. \param values  dense memory of float32 or float64, on the CPU or a
/// GPU, as the state
void look_for_not_finite(const at::Tensor& values, const at::Tensor& state);

/// What was looked at since the last call was one step's.
void end_finite_step(const at::Tensor& state);

}  // namespace xtasc::kernels
