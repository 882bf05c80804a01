#include "dist/gradient_sync.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <functional>

#include "core/error.hpp"

namespace xtasc::dist {

namespace {

using Arrived = std::function<void()>;

/// Called by autograd when a leaf's gradient is complete.
class Hook final : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit Hook(Arrived arrived) : arrived_(std::move(arrived)) {}
  void operator()(const at::Tensor& /*leaf*/) override { arrived_(); }

 private:
  Arrived arrived_;
};

bool overlap(const at::Tensor& a, const at::Tensor& b) {
  const auto* a_begin = static_cast<const std::byte*>(a.const_data_ptr());
  const auto* b_begin = static_cast<const std::byte*>(b.const_data_ptr());
  return a_begin < b_begin + b.nbytes() && b_begin < a_begin + a.nbytes();
}

}  // namespace

/// Which gradients each bucket still waits for. Only touched by the thread that runs backward.
struct GradientSync::Watch {
  std::vector<at::Tensor> leaves;
  std::vector<std::size_t> num_leaves;   ///< by bucket
  std::vector<std::size_t> num_missing;  ///< by bucket
  std::size_t next = 0;                  ///< the first bucket not yet started
  bool is_expecting = false;
};

GradientSync::GradientSync(Communicator& communicator, const std::vector<at::Tensor>& flat_gradients,
                           std::int64_t bucket_bytes, Inspect inspect)
    : communicator_(communicator), inspect_(std::move(inspect)) {
  for (const at::Tensor& flat : flat_gradients) {
    const std::int64_t bucket =
        std::max<std::int64_t>(1, bucket_bytes / static_cast<std::int64_t>(flat.element_size()));
    for (std::int64_t end = flat.numel(); end > 0; end -= bucket) {
      const std::int64_t begin = std::max<std::int64_t>(0, end - bucket);
      buckets_.push_back(flat.narrow(0, begin, end - begin));
    }
  }
}

GradientSync::~GradientSync() {
  if (watch_) {
    for (const at::Tensor& leaf : watch_->leaves) {
      torch::autograd::impl::post_acc_grad_hooks(leaf).reset();
    }
  }
}

void GradientSync::watch(std::span<const at::Tensor> leaves) {
  xtasc::check(!watch_, "GradientSync::watch() was called twice");
  watch_ = std::make_unique<Watch>();
  watch_->leaves.assign(leaves.begin(), leaves.end());
  watch_->num_leaves.resize(buckets_.size());
  for (const at::Tensor& leaf : leaves) {
    xtasc::check(leaf.grad().defined(), "GradientSync::watch(): a leaf without a gradient");
    std::vector<std::size_t> touched;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      if (overlap(leaf.grad(), buckets_[i])) {
        touched.push_back(i);
        ++watch_->num_leaves[i];
      }
    }
    torch::autograd::impl::set_post_acc_grad_hooks(leaf, std::make_unique<Hook>([this, touched] {
                                                     if (watch_->is_expecting) {
                                                       for (const std::size_t bucket : touched) {
                                                         --watch_->num_missing[bucket];
                                                       }
                                                       start_ready_buckets();
                                                     }
                                                   }));
  }
}

void GradientSync::expect_backward() {
  xtasc::check(watch_ != nullptr, "GradientSync::expect_backward() without watch()");
  watch_->num_missing = watch_->num_leaves;
  watch_->next = 0;
  watch_->is_expecting = true;
}

void GradientSync::start_ready_buckets() {
  while (watch_->next < buckets_.size() && watch_->num_missing[watch_->next] == 0) {
    start(buckets_[watch_->next]);
    ++watch_->next;
  }
}

void GradientSync::start(const at::Tensor& bucket) {
  if (inspect_) {
    inspect_(bucket);
  }
  communicator_.start_sum(bucket);
}

void GradientSync::reduce() {
  if (!watch_ || !watch_->is_expecting) {
    num_early_ = 0;
    if (inspect_) {
      std::ranges::for_each(buckets_, inspect_);
    }
    communicator_.sum_all(buckets_);
    return;
  }
  watch_->is_expecting = false;
  num_early_ = watch_->next;
  for (; watch_->next < buckets_.size(); ++watch_->next) {  // parameters that this backward did not reach
    start(buckets_[watch_->next]);
  }
  communicator_.join();
}

}  // namespace xtasc::dist
