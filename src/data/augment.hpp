#pragma once

#include <cstdint>
#include <span>

#include "data/augment_element.hpp"

namespace xtasc::data {

/// Memory that a batch is written to, on the device of the store.
struct BatchMemory {
  float* image;         ///< (n, H, W, 3): a channels-last (n, 3, H, W)
  std::int64_t* label;  ///< (n, H, W)
  float* depth;         ///< (n, H, W)
};

/// Gathers, crops, flips, resizes and normalises views.size() samples on the CPU.
void augment_on_cpu(const SampleStore& store, std::span<const SampleView> views, const BatchMemory& out);

/// The same on the current CUDA device; the views travel as arguments of the kernels, so the host waits for nothing.
/// Not run on a GPU yet. \param stream  a cudaStream_t
void augment_on_cuda(const SampleStore& store, std::span<const SampleView> views, const BatchMemory& out, void* stream);

}  // namespace xtasc::data
