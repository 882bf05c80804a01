// Not run on a GPU yet: compiled for every architecture on every build. The arithmetic is augment_element.hpp's, which
// the CPU's tests run.
#include "core/cuda_launch.cuh"
#include "kernels/augment/augment_cuda.hpp"

namespace xtasc::kernels {

namespace {

/// As many as fit into a kernel's arguments with room to spare: 2.5 KiB of 4.
constexpr std::int64_t kViewsALaunch = 64;
struct Views {
  SampleView view[kViewsALaunch];
};

/// One thread an output pixel; `out` is where the first view's pixels go.
__global__ void augment_kernel(SampleStore store, Views views, std::int64_t num_pixels, BatchMemory out) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t pixel = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; pixel < num_pixels;
       pixel += stride) {
    const std::int64_t row = pixel / store.width;
    const SampleView& view = views.view[row / store.height];
    const auto y = static_cast<std::int32_t>(row % store.height);
    const auto x = static_cast<std::int32_t>(pixel % store.width);
    write_pixel(store, view, y, x, pixel, out);
  }
}

}  // namespace

void augment_on_cuda(const SampleStore& store, std::span<const SampleView> views, const BatchMemory& out,
                     void* stream) {
  constexpr int kThreads = 256;
  const std::int64_t pixels_a_view = static_cast<std::int64_t>(store.height) * store.width;
  const auto num_views = static_cast<std::int64_t>(views.size());
  for (std::int64_t first = 0; first < num_views; first += kViewsALaunch) {
    const std::int64_t count = num_views - first < kViewsALaunch ? num_views - first : kViewsALaunch;
    Views part{};
    for (std::int64_t i = 0; i < count; ++i) {
      part.view[i] = views[static_cast<std::size_t>(first + i)];
    }
    const std::int64_t pixel = first * pixels_a_view;
    augment_kernel<<<blocks_for(count * pixels_a_view, kThreads), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        store, part, count * pixels_a_view,
        {out.image + 3 * pixel, out.label + pixel, out.depth + pixel,
         out.normals == nullptr ? nullptr : out.normals + 3 * pixel});
    check_launch("augmentation kernel");
  }
}

}  // namespace xtasc::kernels
