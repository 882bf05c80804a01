#include <ATen/ATen.h>

#include <array>
#include <cmath>

#include "metric/task_metrics.hpp"
#include "toy/toy.hpp"

namespace xtasc::test {

namespace {

/// Of the pixels whose truth has both channels: the mean end-point error (the length of the difference), the share
/// where it is below 1, the root of the mean square. By batch and over the set as depth's are.
class FlowMetrics final : public metric::TaskMetrics {
 public:
  explicit FlowMetrics(at::Device device)
      : pooled_(at::zeros({4}, at::TensorOptions().dtype(at::kDouble).device(device))),
        batch_sums_(at::zeros_like(pooled_)) {}

  void add(const at::Tensor& prediction, const at::Tensor& truth, const at::Tensor& /*num_labelled*/) override {
    const at::Tensor valid = (truth > 0).all(1);
    const at::Tensor square = (prediction.to(at::kDouble) - truth.to(at::kDouble)).square().sum(1) * valid;
    const at::Tensor count = valid.sum().to(at::kDouble);
    const at::Tensor sums =
        at::stack({square.sqrt().sum(), ((square < 1.0) & valid).sum().to(at::kDouble), square.sum(), count});
    pooled_ += sums;
    const at::Tensor means = sums / count.clamp_min(1.0);
    const at::Tensor values = at::stack({means[0], means[1], means[2].sqrt(), means[3]});
    batch_sums_ += values * static_cast<double>(truth.size(0));  // means[3]: 1, or 0 where nothing was counted
  }

  [[nodiscard]] std::vector<at::Tensor> sums() const override { return {pooled_, batch_sums_}; }

  [[nodiscard]] metric::Report report() const override {
    metric::Report report;
    constexpr std::array<const char*, 3> kNames = {"flow_err", "flow_near", "flow_rmse"};
    const auto* pooled = pooled_.const_data_ptr<double>();
    const auto* by_batch = batch_sums_.const_data_ptr<double>();
    for (std::size_t i = 0; i < kNames.size() && pooled[3] > 0.0; ++i) {
      const double mean = pooled[i] / pooled[3];
      report.dataset[kNames[i]] = i == 2 ? std::sqrt(mean) : mean;
      report.paper[kNames[i]] = by_batch[i] / by_batch[3];
    }
    return report;
  }

 private:
  at::Tensor pooled_;      ///< (4) float64, host: sums over valid pixels, then their number
  at::Tensor batch_sums_;  ///< (4) float64, host: batch values times images, then images
};

}  // namespace

std::unique_ptr<metric::TaskMetrics> make_flow_metrics(const metric::TaskMetricsOptions& options) {
  return std::make_unique<FlowMetrics>(options.device);
}

}  // namespace xtasc::test
