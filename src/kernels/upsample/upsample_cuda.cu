// Not run on a GPU yet: compiled for every architecture on every build. What a thread does is upsample_element.hpp's,
// which the CPU's tests run.
#include "core/cuda_launch.cuh"
#include "kernels/upsample/upsample_cuda.hpp"

namespace xtasc::kernels {

namespace {

__device__ UpsamplePlace place_of_thread() {
  return {static_cast<std::int32_t>(blockIdx.z), static_cast<std::int32_t>(blockIdx.y),
          static_cast<std::int32_t>(blockIdx.x * blockDim.y + threadIdx.y), static_cast<std::int32_t>(threadIdx.x),
          static_cast<std::int32_t>(blockDim.x)};
}

template <typename T, int kPack>
__global__ void __launch_bounds__(kUpsampleThreads) upsample_kernel(const UpsampleWork<T> work) {
  upsample_pixel<T, kPack>(work, place_of_thread());
}

template <typename T, int kPack>
__global__ void __launch_bounds__(kUpsampleThreads) upsample_gradient_kernel(const UpsampleWork<T> work) {
  upsample_gradient_pixel<T, kPack>(work, place_of_thread());
}

template <typename T>
void start(void (*kernel)(UpsampleWork<T>), const UpsampleWork<T>& work, const UpsampleGrid& grid, void* stream) {
  const dim3 blocks(static_cast<unsigned>(grid.column_blocks), static_cast<unsigned>(grid.rows),
                    static_cast<unsigned>(work.images));
  const dim3 threads(static_cast<unsigned>(grid.lanes), static_cast<unsigned>(grid.columns));
  kernel<<<blocks, threads, 0, static_cast<cudaStream_t>(stream)>>>(work);
  check_launch("upsample kernel");
}

}  // namespace

template <typename T>
void upsample_on_cuda(const UpsampleWork<T>& work, const UpsampleGrid& grid, void* stream) {
  start<T>(grid.pack > 1 ? upsample_kernel<T, kChannelsPerPack<T>> : upsample_kernel<T, 1>, work, grid, stream);
}

template <typename T>
void upsample_gradient_on_cuda(const UpsampleWork<T>& work, const UpsampleGrid& grid, void* stream) {
  start<T>(grid.pack > 1 ? upsample_gradient_kernel<T, kChannelsPerPack<T>> : upsample_gradient_kernel<T, 1>, work,
           grid, stream);
}

#include "kernels/upsample/upsample_instances.inc"

}  // namespace xtasc::kernels
