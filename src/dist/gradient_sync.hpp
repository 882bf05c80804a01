#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "dist/communicator.hpp"

namespace xtasc::dist {

/// Sums flat gradient buffers over the ranks, bucket by bucket from the back, where backward produces them first.
class GradientSync {
 public:
  /// \param flat_gradients  1-D dense buffers; kept as views
  /// Sees each piece of a rank's own gradients before it is summed.
  using Inspect = std::function<void(const at::Tensor&)>;

  /// \param bucket_bytes    size of one message, > 0 \param inspect  may be empty
  GradientSync(Communicator& communicator, const std::vector<at::Tensor>& flat_gradients, std::int64_t bucket_bytes,
               Inspect inspect = {});
  ~GradientSync();
  GradientSync(const GradientSync&) = delete;
  GradientSync& operator=(const GradientSync&) = delete;

  /// Watches leaves whose gradients are views of the flat buffers, so that backward itself can start a bucket as soon
  /// as all gradients in it are there. Call once; a leaf is watched by one GradientSync at most.
  void watch(std::span<const at::Tensor> leaves);
  /// The next backward accumulates each watched gradient at most once, and reduce() follows it: buckets are started
  /// meanwhile, always in the same order. Without this call reduce() does all.
  void expect_backward();

  /// gradients := sum over ranks. Collective.
  void reduce();

  [[nodiscard]] std::size_t num_buckets() const { return buckets_.size(); }
  /// Buckets that the last backward started before reduce() was called.
  [[nodiscard]] std::size_t num_early() const { return num_early_; }

 private:
  struct Watch;
  void start_ready_buckets();
  void start(const at::Tensor& bucket);

  Communicator& communicator_;
  std::vector<at::Tensor> buckets_;
  Inspect inspect_;
  std::unique_ptr<Watch> watch_;
  std::size_t num_early_ = 0;
};

}  // namespace xtasc::dist
