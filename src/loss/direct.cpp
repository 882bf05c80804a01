#include "loss/direct.hpp"

#include <ATen/ATen.h>

#include "core/error.hpp"
#include "model/unit_vectors.hpp"

namespace xtasc::loss {

namespace {

at::Tensor pointwise(config::DepthLoss kind, const at::Tensor& difference) {
  switch (kind) {
    case config::DepthLoss::l1:
      return difference.abs();
    case config::DepthLoss::mse:
      return difference * difference;
    case config::DepthLoss::log_l1:
      return difference.abs().log1p();
    case config::DepthLoss::smooth_l1: {
      const at::Tensor magnitude = difference.abs();
      return at::where(magnitude < 1.0, 0.5 * difference * difference, magnitude - 0.5);
    }
  }
  fail("unknown depth loss {}", static_cast<int>(kind));
}

}  // namespace

SummedLoss cross_entropy(const at::Tensor& logits_nchw, const at::Tensor& labels_nhw) {
  check(logits_nchw.dim() == 4 && labels_nhw.dim() == 3 && logits_nchw.size(0) == labels_nhw.size(0) &&
            logits_nchw.size(2) == labels_nhw.size(1) && logits_nchw.size(3) == labels_nhw.size(2),
        "cross entropy: logits {} and labels {} disagree", fmt::join(logits_nchw.sizes(), " x "),
        fmt::join(labels_nhw.sizes(), " x "));
  // A comparison instead of a gather: no label can index outside, ignored ones match no class, and the backward is a
  // mask, which is deterministic on every device.
  const at::Tensor classes = at::arange(logits_nchw.size(1), labels_nhw.options()).view({1, logits_nchw.size(1), 1, 1});
  const at::Tensor is_target = labels_nhw.unsqueeze(1) == classes;
  const at::Tensor log_probability = at::log_softmax(logits_nchw, 1);
  const at::Tensor zero = at::zeros({}, logits_nchw.options());
  return {.sum = -at::where(is_target, log_probability, zero).sum(), .count = is_target.sum()};
}

SummedLoss mean_by_image(const at::Tensor& values_n1hw, const at::Tensor& counted_n1hw) {
  const at::Tensor num_counted = counted_n1hw.sum({1, 2, 3});
  const at::Tensor mean = values_n1hw.sum({1, 2, 3}) / num_counted.clamp_min(1);
  return {.sum = mean.sum(), .count = (num_counted > 0).sum()};
}

SummedLoss depth_loss(config::DepthLoss kind, const at::Tensor& prediction_n1hw, const at::Tensor& target_n1hw,
                      const at::Tensor& valid_n1hw) {
  check(prediction_n1hw.sizes() == target_n1hw.sizes() && prediction_n1hw.sizes() == valid_n1hw.sizes(),
        "depth loss: prediction {} and target {} disagree", fmt::join(prediction_n1hw.sizes(), " x "),
        fmt::join(target_n1hw.sizes(), " x "));
  // Every kind is 0 at 0, so masking the difference masks error and gradient alike.
  const at::Tensor zero = at::zeros({}, prediction_n1hw.options());
  const at::Tensor difference = at::where(valid_n1hw, prediction_n1hw - target_n1hw, zero);
  return mean_by_image(pointwise(kind, difference), valid_n1hw);
}

SummedLoss cosine_loss(const at::Tensor& prediction_nchw, const at::Tensor& unit_target_nchw,
                       const at::Tensor& valid_nhw) {
  check(prediction_nchw.sizes() == unit_target_nchw.sizes() && valid_nhw.dim() == 3 &&
            valid_nhw.size(0) == prediction_nchw.size(0) && valid_nhw.size(1) == prediction_nchw.size(2) &&
            valid_nhw.size(2) == prediction_nchw.size(3),
        "cosine loss: prediction {}, target {} and mask {} disagree", fmt::join(prediction_nchw.sizes(), " x "),
        fmt::join(unit_target_nchw.sizes(), " x "), fmt::join(valid_nhw.sizes(), " x "));
  const at::Tensor cosine = (model::unit_vectors(prediction_nchw) * unit_target_nchw).sum(1);
  const at::Tensor zero = at::zeros({}, prediction_nchw.options());
  return {.sum = at::where(valid_nhw, 1.0 - cosine, zero).sum(), .count = valid_nhw.sum()};
}

}  // namespace xtasc::loss
