#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "gpu/gpu.hpp"

namespace xtasc::train {

/// The most memory that this program had resident so far.
[[nodiscard]] std::int64_t peak_resident_bytes();

/// Of a CUDA device; nullopt on the CPU.
[[nodiscard]] std::optional<gpu::Memory> device_memory(at::Device device);

}  // namespace xtasc::train
