#pragma once

#include "kernels/upsample/upsample_element.hpp"

namespace xtasc::kernels {

/// Both directions of the upsample on raw channels-last memory; `stream` is a cudaStream_t.
/// \throws std::runtime_error when the kernel cannot be started
template <typename T>
void upsample_on_cuda(const UpsampleWork<T>& work, const UpsampleGrid& grid, void* stream);
template <typename T>
void upsample_gradient_on_cuda(const UpsampleWork<T>& work, const UpsampleGrid& grid, void* stream);

}  // namespace xtasc::kernels
