#include <ATen/ATen.h>

#include <array>
#include <cmath>

#include "metric/task_metrics.hpp"

namespace xtasc::metric {

namespace {

constexpr double kMinDepth = 1e-3;

/// The sums over valid pixels, in this order; rooted: the metric is the root of the mean.
struct DepthSum {
  const char* name;
  bool rooted;
};
constexpr std::array<DepthSum, 9> kDepthSums = {{{"abs_err", false},
                                                 {"rel_err", false},
                                                 {"sq_rel", false},
                                                 {"rmse", true},
                                                 {"irmse", true},
                                                 {"log_irmse", true},
                                                 {"delta_1", false},
                                                 {"delta_2", false},
                                                 {"delta_3", false}}};
constexpr auto kNumDepthSums = static_cast<std::int64_t>(kDepthSums.size());

/// (kNumDepthSums): each quantity summed over the valid pixels.
at::Tensor depth_sums(const at::Tensor& prediction, const at::Tensor& target, const at::Tensor& valid) {
  const at::Tensor t = at::where(valid, target.to(at::kDouble), 1.0);
  const at::Tensor p = at::where(valid, prediction.to(at::kDouble), 1.0);
  const at::Tensor positive = p.clamp_min(kMinDepth);
  const at::Tensor difference = p - t;
  const at::Tensor square = difference * difference;
  const at::Tensor inverse = positive.reciprocal() - t.reciprocal();
  // log(1/p) - log(1/t) = log t - log p
  const at::Tensor logarithm = t.log() - positive.log();
  const at::Tensor ratio = at::maximum(positive / t, t / positive);
  const auto share_below = [&](double bound) { return ((ratio < bound) & valid).sum().to(at::kDouble); };
  // Invalid pixels hold p = t = 1: every difference is zero there.
  return at::stack({difference.abs().sum(), (difference.abs() / t).sum(), (square / t).sum(), square.sum(),
                    (inverse * inverse).sum(), (logarithm * logarithm).sum(), share_below(1.25),
                    share_below(1.25 * 1.25), share_below(1.25 * 1.25 * 1.25)});
}

at::Tensor rooted_mask(at::Device device) {
  std::array<bool, kDepthSums.size()> mask{};
  for (std::size_t i = 0; i < mask.size(); ++i) {
    mask[i] = kDepthSums[i].rooted;
  }
  return at::from_blob(mask.data(), {kNumDepthSums}, at::kBool).clone().to(device);
}

class DepthMetrics final : public TaskMetrics {
 public:
  explicit DepthMetrics(at::Device device)
      : pooled_(at::zeros({kNumDepthSums + 1}, at::TensorOptions().dtype(at::kDouble).device(device))),
        is_rooted_(rooted_mask(device)),  // once: the copy waits for a GPU
        batch_sums_(at::zeros_like(pooled_)) {}

  void add(const at::Tensor& prediction, const at::Tensor& target, const at::Tensor& num_labelled) override {
    const at::Tensor valid = target > 0;
    const at::Tensor count = valid.sum().to(at::kDouble);
    const at::Tensor sums = depth_sums(prediction, target, valid);
    pooled_ += at::cat({sums, count.view({1})});
    const at::Tensor means = sums / count.clamp_min(1.0);
    const at::Tensor values = at::where(is_rooted_, means.sqrt(), means);
    const at::Tensor images = at::where(count > 0, num_labelled, at::zeros({}, count.options()));
    batch_sums_ += at::cat({values * images, images.view({1})});
  }

  [[nodiscard]] std::vector<at::Tensor> sums() const override { return {pooled_, batch_sums_}; }

  [[nodiscard]] Report report() const override {
    Report report;
    const at::Tensor pooled = pooled_.to(at::kCPU);
    const at::Tensor by_batch = batch_sums_.to(at::kCPU);
    const double num_pixels = pooled[kNumDepthSums].item<double>();
    const double num_images = by_batch[kNumDepthSums].item<double>();
    for (std::int64_t i = 0; i < kNumDepthSums && num_pixels > 0; ++i) {
      const DepthSum& quantity = kDepthSums[static_cast<std::size_t>(i)];
      const double mean = pooled[i].item<double>() / num_pixels;
      report.dataset[quantity.name] = quantity.rooted ? std::sqrt(mean) : mean;
      report.paper[quantity.name] = by_batch[i].item<double>() / num_images;
    }
    return report;
  }

 private:
  at::Tensor pooled_;      ///< (kNumDepthSums + 1) float64: sums over valid pixels, then their number
  at::Tensor is_rooted_;   ///< (kNumDepthSums) bool: the metric is the root of the mean
  at::Tensor batch_sums_;  ///< (kNumDepthSums + 1) float64: batch values times images, then images
};

}  // namespace

std::unique_ptr<TaskMetrics> make_depth_metrics(const TaskMetricsOptions& options) {
  return std::make_unique<DepthMetrics>(options.device);
}

}  // namespace xtasc::metric
