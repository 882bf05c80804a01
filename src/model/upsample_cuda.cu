// Not run on a GPU yet: compiled for every architecture on every build. The arithmetic is upsample_element.hpp's, which
// the CPU's tests run.
#include "core/cuda_launch.cuh"
#include "model/upsample_kernels.hpp"

namespace xtasc::model {

namespace {

/// One thread an element of an image of height x width pixels, channels next to each other.
struct Element {
  std::int64_t n, c;
  std::int32_t y, x;
};

__device__ Element element_of(std::int64_t index, std::int64_t channels, std::int32_t height, std::int32_t width) {
  const std::int64_t pixel = index / channels;
  const std::int64_t row = pixel / width;
  return {row / height, index % channels, static_cast<std::int32_t>(row % height),
          static_cast<std::int32_t>(pixel % width)};
}

template <typename T>
__global__ void upsample_kernel(const T* small, T* large, UpsampleShape shape, std::int64_t numel) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < numel; i += stride) {
    const Element e = element_of(i, shape.channels, 2 * shape.height, 2 * shape.width);
    store_element(large + i, upsampled_element(small, shape, e.n, e.y, e.x, e.c));
  }
}

template <typename T>
__global__ void upsample_gradient_kernel(const T* large, T* small, UpsampleShape shape, std::int64_t numel) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < numel; i += stride) {
    const Element e = element_of(i, shape.channels, shape.height, shape.width);
    store_element(small + i, upsample_gradient_element(large, shape, e.n, e.y, e.x, e.c));
  }
}

constexpr int kThreads = 256;

}  // namespace

template <typename T>
void upsample_on_cuda(const T* small, T* large, const UpsampleShape& shape, void* stream) {
  const std::int64_t numel = 4 * shape.num_images * shape.channels * shape.height * shape.width;
  if (numel > 0) {
    upsample_kernel<<<blocks_for(numel, kThreads), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(small, large,
                                                                                                     shape, numel);
    check_launch("upsample kernel");
  }
}

template <typename T>
void upsample_gradient_on_cuda(const T* large, T* small, const UpsampleShape& shape, void* stream) {
  const std::int64_t numel = shape.num_images * shape.channels * shape.height * shape.width;
  if (numel > 0) {
    upsample_gradient_kernel<<<blocks_for(numel, kThreads), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        large, small, shape, numel);
    check_launch("upsample gradient kernel");
  }
}

template void upsample_on_cuda(const float*, float*, const UpsampleShape&, void*);
template void upsample_on_cuda(const double*, double*, const UpsampleShape&, void*);
template void upsample_on_cuda(const Bfloat16Bits*, Bfloat16Bits*, const UpsampleShape&, void*);
template void upsample_gradient_on_cuda(const float*, float*, const UpsampleShape&, void*);
template void upsample_gradient_on_cuda(const double*, double*, const UpsampleShape&, void*);
template void upsample_gradient_on_cuda(const Bfloat16Bits*, Bfloat16Bits*, const UpsampleShape&, void*);

}  // namespace xtasc::model
