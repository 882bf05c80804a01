// Not run on a GPU yet: compiled for every architecture on every build. The arithmetic is finite_element.hpp's, which
// the CPU's tests run.
#include "core/cuda_launch.cuh"
#include "kernels/finite/finite_cuda.hpp"
#include "kernels/finite/finite_element.hpp"

namespace xtasc::kernels {

namespace {

constexpr int kThreads = 256;

/// Every thread that finds a bad number writes the same 1: the order does not matter.
template <typename T>
__global__ void finite_check_kernel(const T* values, std::int64_t count, std::int64_t* state) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  bool is_bad = false;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    is_bad = is_bad || magnitude_bits(values[i]) >= InfinityBits<T>::value;
  }
  if (is_bad) {
    state[kIsBad] = 1;
  }
}

__global__ void end_finite_step_kernel(std::int64_t* state) {
  end_finite_step(state);
}

}  // namespace

template <typename T>
void finite_check_on_cuda(const T* values, std::int64_t count, std::int64_t* state, void* stream) {
  if (count > 0) {
    finite_check_kernel<<<blocks_for((count + 15) / 16, kThreads), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        values, count, state);
    check_launch("finite check kernel");
  }
}
template void finite_check_on_cuda<float>(const float*, std::int64_t, std::int64_t*, void*);
template void finite_check_on_cuda<double>(const double*, std::int64_t, std::int64_t*, void*);

void end_finite_step_on_cuda(std::int64_t* state, void* stream) {
  end_finite_step_kernel<<<1, 1, 0, static_cast<cudaStream_t>(stream)>>>(state);
  check_launch("finite check's last kernel");
}

}  // namespace xtasc::kernels
