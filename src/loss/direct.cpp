#include "loss/direct.hpp"

#include <ATen/ATen.h>

#include "core/error.hpp"

namespace xtasc::loss {

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

SummedLoss l1_depth(const at::Tensor& prediction_n1hw, const at::Tensor& target_n1hw, const at::Tensor& valid_n1hw) {
  check(prediction_n1hw.sizes() == target_n1hw.sizes() && prediction_n1hw.sizes() == valid_n1hw.sizes(),
        "depth loss: prediction {} and target {} disagree", fmt::join(prediction_n1hw.sizes(), " x "),
        fmt::join(target_n1hw.sizes(), " x "));
  const at::Tensor zero = at::zeros({}, prediction_n1hw.options());
  const at::Tensor error = at::where(valid_n1hw, (prediction_n1hw - target_n1hw).abs(), zero);
  const at::Tensor num_valid = valid_n1hw.sum({1, 2, 3});
  const at::Tensor mean_by_image = error.sum({1, 2, 3}) / num_valid.clamp_min(1);
  return {.sum = mean_by_image.sum(), .count = (num_valid > 0).sum()};
}

}  // namespace xtasc::loss
