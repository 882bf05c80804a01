#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>

/// Tensors as kernels of our own take them.

namespace xtasc::kernels {

/// The cudaStream_t that this thread's work goes to. \throws Error in a build without CUDA
[[nodiscard]] void* current_stream();

/// Channels-last, and begins where 16 bytes may be read at once: x itself where it does, else a copy.
inline at::Tensor laid_out(const at::Tensor& x) {
  const at::Tensor y = x.contiguous(at::MemoryFormat::ChannelsLast);
  return reinterpret_cast<std::uintptr_t>(y.const_data_ptr()) % 16 == 0 ? y : y.clone();
}

template <typename T>
const T* pointer_to(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<const T*>(tensor.const_data_ptr()) : nullptr;
}

/// Of all that are defined.
inline std::int64_t bytes_of(std::initializer_list<at::Tensor> tensors) {
  std::size_t bytes = 0;
  for (const at::Tensor& tensor : tensors) {
    bytes += tensor.defined() ? tensor.nbytes() : 0;
  }
  return static_cast<std::int64_t>(bytes);
}

}  // namespace xtasc::kernels
