#pragma once

#include "kernels/losses/fused_losses_element.hpp"

namespace xtasc::kernels {

/// Both passes of the fused losses on device memory; `stream` is a cudaStream_t.
/// \param row_sums  (num_rows, in.num_sums()) \throws std::runtime_error when the kernel cannot be started
template <typename T>
void fused_losses_on_cuda(const FusedInputs<T>& in, double* row_sums, void* stream);
/// \param factors  (num_images, in.num_terms) \param height  rows of an image
template <typename T>
void fused_gradients_on_cuda(const FusedInputs<T>& in, const T* factors, std::int64_t height,
                             const FusedGradients<T>& out, void* stream);

}  // namespace xtasc::kernels
