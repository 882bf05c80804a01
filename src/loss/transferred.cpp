#include "loss/transferred.hpp"

#include <ATen/ATen.h>

#include "core/error.hpp"

namespace xtasc::loss {

namespace {

constexpr double kC1 = 0.01 * 0.01;
constexpr double kC2 = 0.03 * 0.03;

/// (N, 1, H, W) -> (N, 1, H - 2, W - 2): sums over 3 x 3 windows.
at::Tensor window_sum(const at::Tensor& x) {
  const auto sum_of_three = [](const at::Tensor& y, std::int64_t dim) {
    const std::int64_t size = y.size(dim) - 2;
    return y.narrow(dim, 0, size) + y.narrow(dim, 1, size) + y.narrow(dim, 2, size);
  };
  return sum_of_three(sum_of_three(x, 2), 3);
}

}  // namespace

SummedLoss ssim_depth(const at::Tensor& prediction_n1hw, const at::Tensor& target_n1hw, const at::Tensor& valid_n1hw) {
  check(prediction_n1hw.sizes() == target_n1hw.sizes() && prediction_n1hw.sizes() == valid_n1hw.sizes() &&
            prediction_n1hw.size(2) >= 3 && prediction_n1hw.size(3) >= 3,
        "ssim: prediction {} and target {} disagree, or are smaller than 3 x 3",
        fmt::join(prediction_n1hw.sizes(), " x "), fmt::join(target_n1hw.sizes(), " x "));
  // A variance as a difference of two means cancels in float32 where depth is flat.
  const at::Tensor p = prediction_n1hw.to(at::kDouble);
  const at::Tensor t = target_n1hw.detach().to(at::kDouble);
  const at::Tensor mean_p = window_sum(p) / 9.0;
  const at::Tensor mean_t = window_sum(t) / 9.0;
  const at::Tensor mean_pt = mean_p * mean_t;
  const at::Tensor mean_squares = mean_p * mean_p + mean_t * mean_t;
  const at::Tensor covariance = window_sum(p * t) / 9.0 - mean_pt;
  const at::Tensor variances = window_sum(p * p + t * t) / 9.0 - mean_squares;
  const at::Tensor ssim = (2.0 * mean_pt + kC1) * (2.0 * covariance + kC2) / ((mean_squares + kC1) * (variances + kC2));

  const at::Tensor is_whole = window_sum(valid_n1hw.to(at::kInt)) == 9;
  const at::Tensor loss = at::where(is_whole, ((1.0 - ssim) / 2.0).clamp(0.0, 1.0), at::zeros({}, ssim.options()));
  SummedLoss result = mean_by_image(loss, is_whole);
  result.sum = result.sum.to(prediction_n1hw.scalar_type());
  return result;
}

at::Tensor target_distribution(const at::Tensor& seg_nchw, const TargetOptions& options) {
  const at::Tensor seg = seg_nchw.detach();
  const std::int64_t num_classes = seg.size(1);
  at::Tensor distribution;
  if (options.soft) {
    distribution = at::softmax(seg, 1);
  } else {
    const at::Tensor best = seg.argmax(1, /*keepdim=*/true);
    const at::Tensor classes = at::arange(num_classes, best.options()).view({1, num_classes, 1, 1});
    distribution = (classes == best).to(seg.scalar_type());
  }
  if (options.smoothing == 0.0) {
    return distribution;
  }
  const double other = options.smoothing / static_cast<double>(num_classes - 1);
  return (1.0 - options.smoothing) * distribution + other * (1.0 - distribution);
}

SummedLoss distribution_loss(config::TransferredSegmentationLoss kind, const at::Tensor& logits_nchw,
                             const at::Tensor& target_nchw, const at::Tensor& labelled_nhw) {
  check(logits_nchw.sizes() == target_nchw.sizes() && labelled_nhw.dim() == 3 &&
            logits_nchw.size(0) == labelled_nhw.size(0) && logits_nchw.size(2) == labelled_nhw.size(1) &&
            logits_nchw.size(3) == labelled_nhw.size(2),
        "transferred segmentation loss: logits {}, target {} and labels {} disagree",
        fmt::join(logits_nchw.sizes(), " x "), fmt::join(target_nchw.sizes(), " x "),
        fmt::join(labelled_nhw.sizes(), " x "));
  at::Tensor loss = -(target_nchw * at::log_softmax(logits_nchw, 1)).sum(1);
  if (kind == config::TransferredSegmentationLoss::kl) {
    loss = loss + at::xlogy(target_nchw, target_nchw).sum(1);
  }
  const at::Tensor zero = at::zeros({}, logits_nchw.options());
  return {.sum = at::where(labelled_nhw, loss, zero).sum(), .count = labelled_nhw.sum()};
}

}  // namespace xtasc::loss
