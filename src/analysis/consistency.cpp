#include "analysis/consistency.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>

#include "task/task.hpp"

namespace xtasc::analysis {

namespace {

/// Sum of the values where `mask` holds, and their number.
std::array<at::Tensor, 2> sum_and_count(const at::Tensor& values, const at::Tensor& mask) {
  return {at::where(mask, values, at::zeros({}, values.options())).sum(), mask.sum().to(at::kDouble)};
}

}  // namespace

ConsistencyEnergy::ConsistencyEnergy(at::Device device)
    : sums_(at::zeros({6}, at::TensorOptions().dtype(at::kDouble).device(device))) {}

void ConsistencyEnergy::add(const ConsistencyBatch& batch) {
  const c10::NoGradGuard no_grad;
  const at::Tensor direct = at::log_softmax(batch.seg_nchw.to(at::kDouble), 1);
  const at::Tensor transferred = at::log_softmax(batch.depth_to_seg_nchw.to(at::kDouble), 1);
  const at::Tensor divergence = (direct.exp() * (direct - transferred)).sum(1);  // (N, H, W)
  const at::Tensor difference = (batch.depth_n1hw.to(at::kDouble) - batch.seg_to_depth_n1hw.to(at::kDouble)).abs();
  const auto num_classes = static_cast<double>(batch.seg_nchw.size(1));
  const at::Tensor energy = 0.5 * divergence / num_classes + 0.5 * difference.squeeze(1);

  const auto [seg, num_labelled] = sum_and_count(divergence, batch.labels_nhw != task::kIgnoreLabel);
  const auto [depth, num_valid] = sum_and_count(difference, batch.target_n1hw > 0);
  const at::Tensor num_pixels = at::full({}, static_cast<double>(energy.numel()), energy.options());
  sums_ += at::stack({seg, num_labelled, depth, num_valid, energy.sum(), num_pixels});
}

void ConsistencyEnergy::sum_over_ranks(const std::function<void(const at::Tensor&)>& sum) {
  sum(sums_);
}

metric::Values ConsistencyEnergy::report() const {
  const at::Tensor sums = sums_.to(at::kCPU);
  metric::Values values;
  constexpr std::array<const char*, 3> kNames = {"seg", "depth", "energy_2021"};
  for (std::int64_t i = 0; i < 3; ++i) {
    const double count = sums[2 * i + 1].item<double>();
    if (count > 0) {
      values[kNames[static_cast<std::size_t>(i)]] = sums[2 * i].item<double>() / count;
    }
  }
  return values;
}

}  // namespace xtasc::analysis
