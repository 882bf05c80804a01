#pragma once

#include "kernels/batch_norm/batch_norm_channel.hpp"
#include "kernels/batch_norm/batch_norm_element.hpp"

namespace xtasc::kernels {

// Batch norm's passes over raw channels-last memory, its first element at a multiple of 16 bytes; `stream` is a
// cudaStream_t. Each reads its inputs once and writes its output once. All throw std::runtime_error when a kernel
// cannot be started.

/// Each block's sums. \param partial  (slices, 2, C): the sum, and that of the products with x
template <typename T>
void norm_sums_on_cuda(const NormInput<T>& in, SumOf of, const NormGrid& grid, double* partial, void* stream);

/// Adds the blocks' sums up and calls finish(channel, sum, dot), one of batch_norm_channel.hpp's, for each channel.
template <typename Finish>
void finish_slices_on_cuda(const double* partial, const NormGrid& grid, const Finish& finish, void* stream);

/// The same for sums that are added up, (2, C).
template <typename Finish>
void finish_channels_on_cuda(const double* sums, std::int64_t channels, const Finish& finish, void* stream);

template <typename T>
void scale_shift_on_cuda(const NormInput<T>& in, bool relu, const NormGrid& grid, T* y, void* stream);

template <typename T>
void gradient_of_x_on_cuda(const NormInput<T>& in, const NormFactors<T>& factors, bool relu, const NormGrid& grid,
                           T* grad_x, void* stream);

}  // namespace xtasc::kernels
