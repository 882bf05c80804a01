#include "kernels/gradients.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "core/cuda_forms.hpp"
#include "kernels/channel_pack.hpp"
#include "kernels/cpu_loops.hpp"

namespace xtasc::kernels {

namespace {

constexpr std::int64_t kFewestAdded = 32768;  ///< numbers that are worth a thread

/// Of bfloat16, where ATen would make float32 of them first.
XTASC_MULTIVERSION void add_rounded(float* to, const Bfloat16Bits* from, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    to[i] += float_of_bits(static_cast<std::uint32_t>(from[i].bits) << 16);
  }
}

bool lie_alike(const at::Tensor& sum, const at::Tensor& gradient) {
  return takes_loops(sum) && sum.scalar_type() == at::kFloat && gradient.scalar_type() == at::kBFloat16 &&
         sum.is_non_overlapping_and_dense() && sum.sizes() == gradient.sizes() && sum.strides() == gradient.strides();
}

}  // namespace

void add_gradient(const at::Tensor& parameter, const at::Tensor& gradient) {
  if (gradient.defined()) {
    const c10::NoGradGuard no_grad;
    const KernelMark mark("gradients: added", static_cast<std::int64_t>(2 * parameter.nbytes() + gradient.nbytes()));
    const at::Tensor sum = parameter.mutable_grad();
    if (lie_alike(sum, gradient)) {
      auto* to = data_of<float>(sum);
      const auto* from = data_of<const Bfloat16Bits>(gradient);
      at::parallel_for(0, sum.numel(), kFewestAdded,
                       [&](std::int64_t begin, std::int64_t end) { add_rounded(to, from, begin, end); });
    } else {
      parameter.mutable_grad().add_(gradient);
    }
  }
}

}  // namespace xtasc::kernels
