#pragma once

#include <cstdint>

namespace xtasc::kernels {

// finite.hpp's work on a CUDA device, without torch's headers, which nvcc does not see. Not run on a GPU yet.

/// state[kIsBad] := 1 if a value is not finite. \param stream  a cudaStream_t
template <typename T>
void finite_check_on_cuda(const T* values, std::int64_t count, std::int64_t* state, void* stream);
void end_finite_step_on_cuda(std::int64_t* state, void* stream);

}  // namespace xtasc::kernels
