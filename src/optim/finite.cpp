#include "optim/finite.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#ifdef XTASC_WITH_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

#include <algorithm>
#include <atomic>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "core/multiversion.hpp"
#include "optim/finite_element.hpp"
#include "optim/finite_kernels.hpp"

namespace xtasc::optim {

namespace {

/// The largest magnitude's bits: not finite numbers are larger than all others, so that no element needs a branch.
template <typename T>
XTASC_INLINE auto largest_bits_of(const T* values, std::int64_t count) {
  auto largest = magnitude_bits(T{0});
  for (std::int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, magnitude_bits(values[i]));
  }
  return largest;
}

XTASC_MULTIVERSION bool all_finite(const float* values, std::int64_t count) {
  return largest_bits_of(values, count) < InfinityBits<float>::value;
}
XTASC_MULTIVERSION bool all_finite(const double* values, std::int64_t count) {
  return largest_bits_of(values, count) < InfinityBits<double>::value;
}

template <typename T>
void add_on_cpu(const T* values, std::int64_t count, std::int64_t* state) {
  constexpr std::int64_t kGrain = 1 << 16;
  std::atomic<bool> is_bad = false;
  at::parallel_for(0, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    if (!all_finite(values + begin, end - begin)) {
      is_bad.store(true, std::memory_order_relaxed);
    }
  });
  state[kIsBad] = is_bad ? 1 : state[kIsBad];
}

template <typename T>
void add_to(const at::Tensor& values, const at::Tensor& state) {
  const KernelMark mark("checks: finite", static_cast<std::int64_t>(values.nbytes()));
  const T* data = values.const_data_ptr<T>();
  auto* memory = state.mutable_data_ptr<std::int64_t>();
  if (values.is_cpu()) {
    add_on_cpu(data, values.numel(), memory);
    return;
  }
#ifdef XTASC_WITH_CUDA
  finite_check_on_cuda(data, values.numel(), memory, c10::cuda::getCurrentCUDAStream().stream());
#else
  fail("this build has no CUDA: values on {} cannot be looked at", values.device().str());
#endif
}

}  // namespace

FiniteCheck::FiniteCheck(at::Device device)
    : state_(at::zeros({kFiniteStateSize}, at::TensorOptions().dtype(at::kLong).device(device))) {
  if (!state_.is_meta()) {
    state_.select(0, kFirstBad).fill_(-1);
  }
}

void FiniteCheck::add(const at::Tensor& values) const {
  if (values.is_meta()) {
    return;
  }
  check(values.is_non_overlapping_and_dense(), "FiniteCheck: memory with gaps");
  if (values.scalar_type() == at::kDouble) {
    add_to<double>(values, state_);
  } else {
    add_to<float>(values, state_);
  }
}

void FiniteCheck::end_step() const {
  if (state_.is_meta()) {
    return;
  }
  const KernelMark mark("checks: end of step");
  auto* memory = state_.mutable_data_ptr<std::int64_t>();
  if (state_.is_cpu()) {
    end_finite_step(memory);
    return;
  }
#ifdef XTASC_WITH_CUDA
  end_finite_step_on_cuda(memory, c10::cuda::getCurrentCUDAStream().stream());
#endif
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
