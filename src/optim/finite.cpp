#include "optim/finite.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "core/error.hpp"
#include "kernels/finite/finite.hpp"
#include "kernels/finite/finite_element.hpp"

namespace xtasc::optim {

FiniteCheck::FiniteCheck(at::Device device)
    : state_(at::zeros({kernels::kFiniteStateSize}, at::TensorOptions().dtype(at::kLong).device(device))) {
  if (!state_.is_meta()) {
    state_.select(0, kernels::kFirstBad).fill_(-1);
  }
}

void FiniteCheck::add(const at::Tensor& values) const {
  if (values.is_meta()) {
    return;
  }
  check(values.is_non_overlapping_and_dense(), "FiniteCheck: memory with gaps");
  kernels::look_for_not_finite(values, state_);
}

void FiniteCheck::end_step() const {
  if (!state_.is_meta()) {
    kernels::end_finite_step(state_);
  }
}

std::string first_not_finite(const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  std::vector<at::Tensor> sums;
  for (const auto& [name, tensor] : tensors) {
    sums.push_back(tensor.isfinite().logical_not_().sum());
  }
  if (sums.empty()) {
    return {};
  }
  const at::Tensor counts = at::stack(sums).to(at::kCPU);  // one wait for all
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (const auto count = counts[static_cast<std::int64_t>(i)].item<std::int64_t>(); count > 0) {
      return fmt::format("{} ({} of {} values)", tensors[i].first, count, tensors[i].second.numel());
    }
  }
  return {};
}

}  // namespace xtasc::optim
