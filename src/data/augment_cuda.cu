// Not run on a GPU yet: compiled for every architecture on every build. The arithmetic is augment_element.hpp's, which
// the CPU's tests run.
#include "core/cuda_launch.cuh"
#include "data/augment.hpp"

namespace xtasc::data {

namespace {

/// One thread an output pixel.
__global__ void augment_kernel(SampleStore store, const SampleView* views, std::int64_t num_pixels, BatchMemory out) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t pixel = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; pixel < num_pixels;
       pixel += stride) {
    const std::int64_t row = pixel / store.width;
    const SampleView view = views[row / store.height];
    const auto y = static_cast<std::int32_t>(row % store.height);
    const auto x = static_cast<std::int32_t>(pixel % store.width);
    for (std::int32_t c = 0; c < 3; ++c) {
      out.image[pixel * 3 + c] = image_element(store, view, y, x, c);
    }
    out.label[pixel] = label_element(store, view, y, x);
    out.depth[pixel] = depth_element(store, view, y, x);
  }
}

}  // namespace

void augment_on_cuda(const SampleStore& store, const SampleView* views, std::int64_t num_views, const BatchMemory& out,
                     void* stream) {
  constexpr int kThreads = 256;
  const std::int64_t num_pixels = num_views * store.height * store.width;
  if (num_pixels > 0) {
    augment_kernel<<<blocks_for(num_pixels, kThreads), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        store, views, num_pixels, out);
    check_launch("augmentation kernel");
  }
}

}  // namespace xtasc::data
