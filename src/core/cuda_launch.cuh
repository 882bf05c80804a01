#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace xtasc {

/// Blocks for `num_threads` threads, which take turns where they are more than a grid's worth: a kernel strides by the
/// whole grid.
inline unsigned blocks_for(std::int64_t num_threads, int threads_a_block) {
  constexpr std::int64_t kMaxBlocks = 65535;
  const std::int64_t blocks = (num_threads + threads_a_block - 1) / threads_a_block;
  return static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
}

/// \throws std::runtime_error when the kernel just asked for cannot be started
inline void check_launch(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(kernel) + ": " + cudaGetErrorString(error));
  }
}

}  // namespace xtasc
