#include "analysis/bootstrap.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "core/random.hpp"

namespace xtasc::analysis {

at::Tensor bootstrap_weights(std::int64_t num_images, std::int64_t num_draws, std::uint64_t seed) {
  const at::Tensor weights = at::zeros({1 + num_draws, num_images}, at::kDouble);
  weights[0].fill_(1.0);
  auto* row = weights.data_ptr<double>();
  for (std::int64_t draw = 0; draw < num_draws && num_images > 0; ++draw) {
    row += num_images;
    RandomStream random(seed, Purpose::bootstrap, 0, static_cast<std::uint64_t>(draw));
    for (std::int64_t i = 0; i < num_images; ++i) {
      row[random.below(static_cast<std::uint64_t>(num_images))] += 1.0;
    }
  }
  return weights;
}

Estimate estimate(const at::Tensor& replicates, std::int64_t num_images) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  Estimate result = {replicates[0].item<double>(), kUnknown, kUnknown, kUnknown};
  const at::Tensor draws = replicates.narrow(0, 1, replicates.size(0) - 1);
  const at::Tensor finite = draws.masked_select(draws.isfinite());
  if (num_images > 1 && finite.numel() > 1 && std::isfinite(result.value)) {
    result.error = finite.std().item<double>();
    result.low = at::quantile(finite, 0.025).item<double>();
    result.high = at::quantile(finite, 0.975).item<double>();
  }
  return result;
}

Verdict at_most_zero(const Estimate& figure) {
  if (figure.high <= 0.0) {
    return Verdict::held;
  }
  return figure.low > 0.0 ? Verdict::failed : Verdict::undecided;
}

Verdict near_ideal(const Estimate& figure, double ideal, double tolerance) {
  if (figure.low >= ideal - tolerance && figure.high <= ideal + tolerance) {
    return Verdict::held;
  }
  return figure.low > ideal + tolerance || figure.high < ideal - tolerance ? Verdict::failed : Verdict::undecided;
}

}  // namespace xtasc::analysis
