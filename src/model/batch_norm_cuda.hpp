#pragma once

#include "model/batch_norm_element.hpp"

namespace xtasc::model {

// Batch norm's passes over raw channels-last memory, its first element at a multiple of 16 bytes; `stream` is a
// cudaStream_t. Each reads its inputs once and writes its output once. All throw std::runtime_error when a kernel
// cannot be started.

/// \param partial  room for grid.slices x 2 x C
/// \param sums     (2, C): the sum, and that of the products with x
template <typename T>
void norm_sums_on_cuda(const NormInput<T>& in, SumOf of, const NormGrid& grid, double* partial, double* sums,
                       void* stream);

template <typename T>
void scale_shift_on_cuda(const NormInput<T>& in, bool relu, const NormGrid& grid, T* y, void* stream);

template <typename T>
void gradient_of_x_on_cuda(const NormInput<T>& in, const NormFactors<T>& factors, bool relu, const NormGrid& grid,
                           T* grad_x, void* stream);

}  // namespace xtasc::model
