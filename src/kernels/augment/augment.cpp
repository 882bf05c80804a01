#include "kernels/augment/augment.hpp"

#include <ATen/Parallel.h>

#include "kernels/augment/augment_cuda.hpp"
#include "kernels/kernel_memory.hpp"

namespace xtasc::kernels {

namespace {

void augment_on_cpu(const SampleStore& store, std::span<const SampleView> views, const BatchMemory& out) {
  const auto rows = static_cast<std::int64_t>(views.size()) * store.height;
  at::parallel_for(0, rows, /*grain_size=*/32, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const SampleView& view = views[static_cast<std::size_t>(row / store.height)];
      const auto y = static_cast<std::int32_t>(row % store.height);
      for (std::int32_t x = 0; x < store.width; ++x) {
        write_pixel(store, view, y, x, row * store.width + x, out);
      }
    }
  });
}

}  // namespace

void augment(const SampleStore& store, std::span<const SampleView> views, const BatchMemory& out, c10::Device device) {
  device.is_cpu() ? augment_on_cpu(store, views, out) : augment_on_cuda(store, views, out, current_stream());
}

}  // namespace xtasc::kernels
