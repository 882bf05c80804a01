#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/batch_norm/batch_norm_passes.hpp"

/// batch_norm_passes.hpp's functions by batch_norm_element.hpp's and batch_norm_channel.hpp's, on any device with
/// memory: what CUDA runs, and on the CPU, slowly, what its tests run: the same blocks and threads one after another,
/// so the same order of sums. Tensors of another layout are copied first. Nothing waits for the device.
namespace xtasc::kernels::by_elements {

[[nodiscard]] NormStatistics statistics_of(const at::Tensor& x, const NormTensors& norm,
                                           const SumOverRanks& sum_over_ranks);

[[nodiscard]] at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift, bool relu);

[[nodiscard]] NormGradientFactors gradient_factors(const NormOperands& in, const NormStatistics& statistics,
                                                   const at::Tensor& weight, const NormGradients& gradients, bool relu,
                                                   const SumOverRanks& sum_over_ranks);

[[nodiscard]] at::Tensor gradient_of_x(const NormOperands& in, bool relu, const NormGradientFactors& factors);

}  // namespace xtasc::kernels::by_elements
