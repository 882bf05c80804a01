#pragma once

#include <span>

#include "kernels/augment/augment_element.hpp"

namespace xtasc::kernels {

/// augment() on the current CUDA device; the views travel as arguments of the kernels, so the host waits for nothing.
/// Not run on a GPU yet. \param stream  a cudaStream_t
void augment_on_cuda(const SampleStore& store, std::span<const SampleView> views, const BatchMemory& out, void* stream);

}  // namespace xtasc::kernels
