#include <ATen/ATen.h>

#include <array>
#include <limits>
#include <numbers>

#include "metric/counts.hpp"
#include "metric/task_metrics.hpp"

namespace xtasc::metric {

namespace {

constexpr std::int64_t kBinsPerDegree = 100;
constexpr std::int64_t kBins = 180 * kBinsPerDegree;
constexpr std::array<double, 3> kBounds = {11.25, 22.5, 30.0};
/// By place in a vector of sums: the mean angle, the three shares, the median, then what they are divided by.
constexpr std::array<const char*, 5> kNames = {"angle_mean", "within_11", "within_22", "within_30", "angle_median"};
constexpr std::int64_t kMedian = 4;

class NormalMetrics final : public TaskMetrics {
 public:
  explicit NormalMetrics(at::Device device)
      : histogram_(at::zeros({kBins}, at::TensorOptions().dtype(at::kLong).device(device))),
        pooled_(at::zeros({kMedian + 1}, at::TensorOptions().dtype(at::kDouble).device(device))),
        batch_sums_(at::zeros({kMedian + 2}, pooled_.options())) {}

  void add(const at::Tensor& prediction, const at::Tensor& truth, const at::Tensor& num_labelled) override {
    const at::Tensor valid = (truth != 0).any(1);
    const at::Tensor angles = angles_between(prediction, truth);
    const at::Tensor count = valid.sum();
    std::vector<at::Tensor> all = {masked_sum(angles, valid)};
    for (const double bound : kBounds) {
      all.push_back(((angles < bound) & valid).sum().to(at::kDouble));
    }
    const at::Tensor sums = at::stack(all);
    pooled_ += at::cat({sums, count.to(at::kDouble).view({1})});
    const at::Tensor bins = (angles * static_cast<double>(kBinsPerDegree)).to(at::kLong).clamp(0, kBins - 1);
    histogram_ += counts_of(bins.masked_fill(~valid, kBins).flatten(), kBins + 1).narrow(0, 0, kBins);

    // The lower one of two middle values, as PyTorch's median has it; what is not valid comes last.
    const at::Tensor sorted =
        std::get<0>(angles.masked_fill(~valid, std::numeric_limits<double>::max()).flatten().sort());
    const at::Tensor middle = ((count - 1) / 2).clamp_min(0).to(at::kLong).view({1});
    const at::Tensor median = sorted.numel() == 0 ? at::zeros({1}, sorted.options()) : sorted.index_select(0, middle);
    const at::Tensor images = at::where(count > 0, num_labelled, at::zeros({}, sums.options()));
    const at::Tensor values = at::cat({sums / count.clamp_min(1), at::where(count > 0, median, 0.0)});
    batch_sums_ += at::cat({values * images, images.view({1})});
  }

  [[nodiscard]] std::vector<at::Tensor> sums() const override { return {histogram_, pooled_, batch_sums_}; }

  [[nodiscard]] Report report() const override {
    Report report;
    const at::Tensor pooled = pooled_.to(at::kCPU);
    const at::Tensor by_batch = batch_sums_.to(at::kCPU);
    const double num_pixels = pooled[kMedian].item<double>();
    const double num_images = by_batch[kMedian + 1].item<double>();
    for (std::int64_t i = 0; i <= kMedian && num_pixels > 0; ++i) {
      const char* name = kNames[static_cast<std::size_t>(i)];
      report.dataset[name] = i == kMedian ? pooled_median() : pooled[i].item<double>() / num_pixels;
      report.paper[name] = by_batch[i].item<double>() / num_images;
    }
    return report;
  }

 private:
  /// The middle of the bin that the lower median lies in: within half a bin of it.
  [[nodiscard]] double pooled_median() const {
    const at::Tensor up_to = histogram_.to(at::kCPU).cumsum(0);
    const std::int64_t middle = (up_to[kBins - 1].item<std::int64_t>() - 1) / 2;
    const std::int64_t bin = (up_to <= middle).sum().item<std::int64_t>();
    return (static_cast<double>(bin) + 0.5) / static_cast<double>(kBinsPerDegree);
  }

  at::Tensor histogram_;   ///< (kBins) int64: valid pixels by their angle
  at::Tensor pooled_;      ///< (5) float64: sums over valid pixels, then their number
  at::Tensor batch_sums_;  ///< (6) float64: batch values times images, then images
};

}  // namespace

at::Tensor angles_between(const at::Tensor& a, const at::Tensor& b) {
  const auto unit = [](const at::Tensor& vectors) {
    const at::Tensor v = vectors.to(at::kDouble);
    return v / at::linalg_vector_norm(v, 2, {1}, /*keepdim=*/true).clamp_min(task::kMinLength);
  };
  const at::Tensor u = unit(a);
  const at::Tensor v = unit(b);
  // By the sine and the cosine, since the arc cosine magnifies rounding where angles are small.
  const at::Tensor cosine = (u * v).sum(1);
  const at::Tensor sine = at::linalg_vector_norm(at::linalg_cross(u, v, 1), 2, {1});
  const at::Tensor degrees = at::atan2(sine, cosine) * (180.0 / std::numbers::pi);
  return at::where((cosine == 0) & (sine == 0), 90.0, degrees);
}

std::unique_ptr<TaskMetrics> make_normal_metrics(const TaskMetricsOptions& options) {
  return std::make_unique<NormalMetrics>(options.device);
}

}  // namespace xtasc::metric
