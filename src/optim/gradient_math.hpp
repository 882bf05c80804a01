#pragma once

#include <ATen/core/Tensor.h>

namespace xtasc::optim {

/// sum_i a_i b_i of two long vectors, in float64; 0-D.
///
/// Each row of 4096 elements is summed by one thread, and the rows' sums by one: the same bits whatever the number of
/// threads, so that ranks with other numbers of threads still agree on what follows from it.
///
/// \param a, b  1-D, of one size and of one floating-point type
[[nodiscard]] at::Tensor dot_64(const at::Tensor& a, const at::Tensor& b);

/// min(1, max_norm / (sqrt(squared_norm) + added)); 0-D float64.
[[nodiscard]] at::Tensor shrinking_factor(const at::Tensor& squared_norm, double max_norm, double added = 0.0);

/// gradient := gradient * min(1, max_norm / (|gradient| + added)). \param gradient  1-D, floating point
/// \param added  1e-6: as PyTorch's clip_grad_norm_
void clip_norm(const at::Tensor& gradient, double max_norm, double added = 0.0);

}  // namespace xtasc::optim
