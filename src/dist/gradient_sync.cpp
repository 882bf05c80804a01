#include "dist/gradient_sync.hpp"

#include <ATen/ATen.h>

#include <algorithm>

namespace xtasc::dist {

GradientSync::GradientSync(Communicator& communicator, const std::vector<at::Tensor>& flat_gradients,
                           std::int64_t bucket_bytes)
    : communicator_(communicator) {
  for (const at::Tensor& flat : flat_gradients) {
    const std::int64_t bucket =
        std::max<std::int64_t>(1, bucket_bytes / static_cast<std::int64_t>(flat.element_size()));
    for (std::int64_t end = flat.numel(); end > 0; end -= bucket) {
      const std::int64_t begin = std::max<std::int64_t>(0, end - bucket);
      buckets_.push_back(flat.narrow(0, begin, end - begin));
    }
  }
}

void GradientSync::reduce() {
  communicator_.sum_all(buckets_);
}

}  // namespace xtasc::dist
