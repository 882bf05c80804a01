#include "kernels/finite/finite.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

#include "core/cuda_forms.hpp"
#include "core/multiversion.hpp"
#include "kernels/finite/finite_cuda.hpp"
#include "kernels/finite/finite_element.hpp"
#include "kernels/kernel_memory.hpp"

namespace xtasc::kernels {

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
void look_on_cpu(const T* values, std::int64_t count, std::int64_t* state) {
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
void look(const at::Tensor& values, const at::Tensor& state) {
  const KernelMark mark("checks: finite", static_cast<std::int64_t>(values.nbytes()));
  const T* data = values.const_data_ptr<T>();
  auto* memory = state.mutable_data_ptr<std::int64_t>();
  if (values.is_cpu()) {
    look_on_cpu(data, values.numel(), memory);
  } else {
    finite_check_on_cuda(data, values.numel(), memory, current_stream());
  }
}

}  // namespace

void look_for_not_finite(const at::Tensor& values, const at::Tensor& state) {
  values.scalar_type() == at::kDouble ? look<double>(values, state) : look<float>(values, state);
}

void end_finite_step(const at::Tensor& state) {
  const KernelMark mark("checks: end of step");
  auto* memory = state.mutable_data_ptr<std::int64_t>();
  if (state.is_cpu()) {
    end_finite_step(memory);
  } else {
    end_finite_step_on_cuda(memory, current_stream());
  }
}

}  // namespace xtasc::kernels
