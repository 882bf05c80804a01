#include <ATen/ATen.h>

#include "core/error.hpp"
#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

at::Tensor divisors(const Gram& gram, const at::Tensor& losses_2, config::GradientNormalisation normalisation) {
  const at::Tensor norms = at::stack({gram.seg_seg, gram.depth_depth}).sqrt();
  switch (normalisation) {
    case config::GradientNormalisation::none:
      return at::ones_like(norms);
    case config::GradientNormalisation::l2:
      return norms;
    case config::GradientNormalisation::loss:
      return losses_2;
    case config::GradientNormalisation::loss_and_l2:
      return losses_2 * norms;
  }
  fail("unknown normalisation {}", static_cast<int>(normalisation));
}

}  // namespace

at::Tensor mgda_factors(const Gram& gram, const at::Tensor& global_losses_2,
                        config::GradientNormalisation normalisation) {
  at::Tensor scale = divisors(gram, global_losses_2.to(at::kDouble), normalisation);
  scale = at::where(scale > 0.0, scale, at::ones_like(scale));
  const at::Tensor a = gram.seg_seg / (scale[kSegmentation] * scale[kSegmentation]);
  const at::Tensor b = gram.seg_depth / (scale[kSegmentation] * scale[kDepth]);
  const at::Tensor d = gram.depth_depth / (scale[kDepth] * scale[kDepth]);
  const at::Tensor squared_distance = a - 2.0 * b + d;
  const at::Tensor nearest = ((d - b) / squared_distance).clamp(0.0, 1.0);
  const at::Tensor x = at::where(squared_distance > 0.0, nearest, at::full_like(a, 0.5));
  return at::stack({x, 1.0 - x}) / scale;
}

}  // namespace xtasc::weighting
