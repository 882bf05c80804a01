#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "dist/communicator.hpp"

namespace xtasc::dist {

/// Sums flat gradient buffers over the ranks, bucket by bucket from the back, where backward produces them first.
class GradientSync {
 public:
  /// \param flat_gradients  1-D dense buffers; kept as views
  /// \param bucket_bytes    size of one message, > 0
  GradientSync(Communicator& communicator, const std::vector<at::Tensor>& flat_gradients, std::int64_t bucket_bytes);

  /// gradients := sum over ranks. Collective.
  void reduce();

  [[nodiscard]] std::size_t num_buckets() const { return buckets_.size(); }

 private:
  Communicator& communicator_;
  std::vector<at::Tensor> buckets_;
};

}  // namespace xtasc::dist
