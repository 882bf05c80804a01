#pragma once

#include "kernels/epilogue/epilogue_element.hpp"

namespace xtasc::kernels {

// epilogue_element.hpp's work on raw memory, its first element at a multiple of 16 bytes; `stream` is a cudaStream_t.
// Both throw std::runtime_error when the kernel cannot be started.

/// \param work  AddBiasAndRelu, AddBiasReluAndPool or ScaleShiftAddAndRelu
template <typename Work>
void run_epilogue_on_cuda(const Work& work, const NormGrid& grid, void* stream);

/// \param work     GradientBehindRelu or GradientBehindPool
/// \param partial  (slices, 2, C): each block's sums, and zeros; finish_slices_on_cuda adds them up
template <typename Work>
void run_epilogue_gradient_on_cuda(const Work& work, const NormGrid& grid, double* partial, void* stream);

}  // namespace xtasc::kernels
