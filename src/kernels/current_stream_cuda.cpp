#include <c10/cuda/CUDAStream.h>

#include "kernels/kernel_memory.hpp"

namespace xtasc::kernels {

void* current_stream() {
  return c10::cuda::getCurrentCUDAStream().stream();
}

}  // namespace xtasc::kernels
