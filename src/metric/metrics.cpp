#include "metric/metrics.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>
#include <cmath>

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

/// How often each of 0..size-1 occurs, int64. Whole numbers add up to the same in any order; CUDA's deterministic form
/// sorts them, and waits on the host twice to look at their range.
at::Tensor counts_of(const at::Tensor& numbers, std::int64_t size) {
  const AnyOrder any_order;
  return at::zeros({size}, numbers.options()).scatter_add_(0, numbers, at::ones_like(numbers));
}

/// Sum of the values where `mask` holds; the others may be anything.
at::Tensor masked_sum(const at::Tensor& values, const at::Tensor& mask) {
  return at::where(mask, values, at::zeros({}, values.options())).sum();
}

}  // namespace

Metrics::Metrics(std::int64_t num_classes, bool has_depth, at::Device device)
    : num_classes_(num_classes), has_depth_(has_depth) {
  const auto real = at::TensorOptions().dtype(at::kDouble).device(device);
  confusion_ = at::zeros({num_classes, num_classes}, real.dtype(at::kLong));
  image_sums_ = at::zeros({4}, real);
  pooled_ = at::zeros({kNumDepthSums + 1}, real);
  batch_sums_ = at::zeros({kNumDepthSums + 1}, real);
  is_rooted_ = rooted_mask(device);  // once: the copy waits for a GPU
}

void Metrics::add(const at::Tensor& predicted_nhw, const at::Tensor& labels_nhw, const at::Tensor& prediction_n1hw,
                  const at::Tensor& target_n1hw) {
  const c10::NoGradGuard no_grad;
  if (num_classes_ > 0) {
    add_segmentation(predicted_nhw, labels_nhw);
  }
  if (has_depth_) {
    add_depth(prediction_n1hw, target_n1hw);
  }
}

void Metrics::add_segmentation(const at::Tensor& predicted_nhw, const at::Tensor& labels_nhw) {
  const std::int64_t n = labels_nhw.size(0);
  const std::int64_t c = num_classes_;
  // One bin a (image, label, prediction), and one for what is ignored; integer sums do not depend on their order.
  const at::Tensor image = at::arange(n, labels_nhw.options()).view({n, 1, 1});
  const at::Tensor bin = ((image * c + labels_nhw) * c + predicted_nhw).masked_fill(labels_nhw >= c, n * c * c);
  const at::Tensor matrices = counts_of(bin.flatten(), n * c * c + 1).narrow(0, 0, n * c * c).view({n, c, c});
  confusion_ += matrices.sum(0);

  const at::Tensor hits = matrices.diagonal(0, 1, 2).to(at::kDouble);  // (N, C)
  const at::Tensor unions = matrices.sum(2).to(at::kDouble) + matrices.sum(1).to(at::kDouble) - hits;
  const at::Tensor present = unions > 0;
  const at::Tensor iou = at::where(present, hits / unions.clamp_min(1.0), 0.0);
  const at::Tensor miou = iou.sum(1) / present.sum(1).clamp_min(1);
  const at::Tensor num_labelled = matrices.sum({1, 2}).to(at::kDouble);
  const at::Tensor is_labelled = num_labelled > 0;
  const at::Tensor accuracy = hits.sum(1) / num_labelled.clamp_min(1.0);
  const at::Tensor num_images = is_labelled.sum().to(at::kDouble);
  image_sums_ += at::stack({masked_sum(miou, is_labelled), num_images, masked_sum(accuracy, is_labelled), num_images});
}

void Metrics::add_depth(const at::Tensor& prediction_n1hw, const at::Tensor& target_n1hw) {
  const at::Tensor valid = target_n1hw > 0;
  const at::Tensor count = valid.sum().to(at::kDouble);
  const at::Tensor sums = depth_sums(prediction_n1hw, target_n1hw, valid);
  pooled_ += at::cat({sums, count.view({1})});
  const at::Tensor means = sums / count.clamp_min(1.0);
  const at::Tensor values = at::where(is_rooted_, means.sqrt(), means);
  const at::Tensor images =
      at::where(count > 0, static_cast<double>(target_n1hw.size(0)), at::zeros({}, count.options()));
  batch_sums_ += at::cat({values * images, images.view({1})});
}

void Metrics::sum_over_ranks(const std::function<void(const at::Tensor&)>& sum) {
  for (const at::Tensor& tensor : {confusion_, image_sums_, pooled_, batch_sums_}) {
    sum(tensor);
  }
}

Report Metrics::report() const {
  Report report;
  if (num_classes_ > 0) {
    const at::Tensor matrix = confusion_.to(at::kCPU).to(at::kDouble);
    const at::Tensor hits = matrix.diagonal();
    const at::Tensor unions = matrix.sum(1) + matrix.sum(0) - hits;
    double iou_sum = 0.0;
    int num_present = 0;
    for (std::int64_t c = 0; c < num_classes_; ++c) {
      const double overlap = hits[c].item<double>();
      const double together = unions[c].item<double>();
      report.class_iou.push_back(together > 0 ? std::optional(overlap / together) : std::nullopt);
      iou_sum += together > 0 ? overlap / together : 0.0;
      num_present += together > 0 ? 1 : 0;
    }
    const double labelled = matrix.sum().item<double>();
    if (labelled > 0) {
      report.dataset["miou"] = iou_sum / num_present;
      report.dataset["pix_acc"] = hits.sum().item<double>() / labelled;
    }
    const at::Tensor sums = image_sums_.to(at::kCPU);
    if (sums[1].item<double>() > 0) {
      report.paper["miou"] = sums[0].item<double>() / sums[1].item<double>();
      report.paper["pix_acc"] = sums[2].item<double>() / sums[3].item<double>();
    }
  }
  if (has_depth_) {
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
  }
  return report;
}

}  // namespace xtasc::metric
