#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace xtasc::launch {

/// The most memory that this program had resident so far.
[[nodiscard]] std::int64_t peak_resident_bytes();

/// The most that torch's caching allocator had so far.
struct DeviceMemory {
  std::int64_t peak_allocated_bytes = 0;  ///< by tensors
  std::int64_t peak_reserved_bytes = 0;   ///< of the device, tensors or not
};
/// Of a CUDA device; nullopt on the CPU. Not run on a GPU yet.
[[nodiscard]] std::optional<DeviceMemory> device_memory(at::Device device);

}  // namespace xtasc::launch
