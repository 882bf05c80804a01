#include "metric/counts.hpp"

#include <ATen/ATen.h>
#include <ATen/Context.h>

namespace xtasc::metric {

namespace {

/// While it lives, ATen may choose kernels whose order of additions varies.
class AnyOrder {
 public:
  AnyOrder() { set(false); }
  ~AnyOrder() { set(is_deterministic_); }
  AnyOrder(const AnyOrder&) = delete;
  AnyOrder& operator=(const AnyOrder&) = delete;

 private:
  void set(bool is_deterministic) const {
    at::globalContext().setDeterministicAlgorithms(is_deterministic, warns_only_);
  }
  bool is_deterministic_ = at::globalContext().deterministicAlgorithms();
  bool warns_only_ = at::globalContext().deterministicAlgorithmsWarnOnly();
};

}  // namespace

at::Tensor counts_of(const at::Tensor& numbers, std::int64_t size) {
  // Whole numbers add up to the same in any order; CUDA's deterministic form sorts them, and waits on the host twice to
  // look at their range.
  const AnyOrder any_order;
  return at::zeros({size}, numbers.options()).scatter_add_(0, numbers, at::ones_like(numbers));
}

at::Tensor masked_sum(const at::Tensor& values, const at::Tensor& mask) {
  return at::where(mask, values, at::zeros({}, values.options())).sum();
}

}  // namespace xtasc::metric
