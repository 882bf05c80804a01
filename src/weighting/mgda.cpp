#include <ATen/ATen.h>

#include "core/error.hpp"
#include "weighting/methods.hpp"
#include "weighting/simplex.hpp"

namespace xtasc::weighting {

namespace {

at::Tensor divisors(const at::Tensor& gram_tt, const at::Tensor& losses_t,
                    config::GradientNormalisation normalisation) {
  at::Tensor norms = gram_tt.diagonal().sqrt();
  switch (normalisation) {
    case config::GradientNormalisation::none:
      return at::ones_like(norms);
    case config::GradientNormalisation::l2:
      return norms;
    case config::GradientNormalisation::loss:
      return losses_t;
    case config::GradientNormalisation::loss_and_l2:
      return losses_t * norms;
  }
  fail("unknown normalisation {}", static_cast<int>(normalisation));
}

}  // namespace

at::Tensor mgda_factors(const at::Tensor& gram_tt, const at::Tensor& losses_t,
                        config::GradientNormalisation normalisation) {
  at::Tensor scale = divisors(gram_tt, losses_t.to(at::kDouble), normalisation);
  scale = at::where(scale > 0.0, scale, at::ones_like(scale));
  if (gram_tt.size(0) > 2) {
    return smallest_quadratic(gram_tt / (scale.unsqueeze(1) * scale.unsqueeze(0))) / scale;
  }
  const at::Tensor a = gram_tt[0][0] / (scale[0] * scale[0]);
  const at::Tensor b = gram_tt[0][1] / (scale[0] * scale[1]);
  const at::Tensor d = gram_tt[1][1] / (scale[1] * scale[1]);
  const at::Tensor squared_distance = a - 2.0 * b + d;
  const at::Tensor nearest = ((d - b) / squared_distance).clamp(0.0, 1.0);
  const at::Tensor between = at::where(squared_distance > 0.0, nearest, at::full_like(a, 0.5));
  // A task without a gradient, as one that this batch has no labels of, leaves all to the other.
  const at::Tensor x = at::where(d > 0.0, at::where(a > 0.0, between, at::zeros_like(a)), at::ones_like(a));
  return at::stack({x, 1.0 - x}) / scale;
}

std::unique_ptr<TaskWeighting> make_mgda(const MethodOptions& options) {
  return make_gradient_method(
      options, [kind = options.section.normalisation](const at::Tensor& gram_tt, const at::Tensor& losses_t,
                                                      const Moment&) { return mgda_factors(gram_tt, losses_t, kind); });
}

}  // namespace xtasc::weighting
