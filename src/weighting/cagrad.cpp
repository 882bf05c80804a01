#include <ATen/ATen.h>

#include "weighting/methods.hpp"
#include "weighting/simplex.hpp"

namespace xtasc::weighting {

namespace {

/// A mixture shorter than this share of the gradients is rounding: it has no direction to follow.
constexpr double kVanishing = 1e-6;

/// The x in [0, 1] where F(x) = x g_1.g_0 + (1 - x) g_2.g_0 + k |x g_1 + (1 - x) g_2| is smallest.
///
/// With p = |g_1 - g_2|^2, u = p x + g_2.(g_1 - g_2), D = |g_1|^2 |g_2|^2 - (g_1.g_2)^2 the mixture's squared length is
/// (u^2 + D) / p, so F'(x) = s + k u / sqrt((u^2 + D) / p) with the slope s = g_0.(g_1 - g_2). It vanishes at
///
///     u = -s sqrt(D / (k^2 p - s^2))
///
/// if k^2 p > s^2, and nowhere else; F is convex, so clipping to [0, 1] gives the minimum.
at::Tensor best_mixture_of_two(const at::Tensor& gram_tt, const at::Tensor& k) {
  const at::Tensor a = gram_tt[0][0];
  const at::Tensor b = gram_tt[0][1];
  const at::Tensor d = gram_tt[1][1];
  const at::Tensor p = (a - 2.0 * b + d).clamp_min(0.0);
  const at::Tensor slope = 0.5 * (a - d);
  const at::Tensor determinant = (a * d - b * b).clamp_min(0.0);
  const at::Tensor curvature = k * k * p - slope * slope;
  const at::Tensor u = -slope * (determinant / curvature).sqrt();
  const at::Tensor inside = ((u - b + d) / p).clamp(0.0, 1.0);
  // Without a stationary point F falls or rises all the way; for equal gradients it is constant.
  const at::Tensor at_an_end = (0.5 - 0.5 * slope.sign());
  return at::where(curvature > 0.0, inside, at_an_end);
}

at::Tensor cagrad_of_two(const at::Tensor& gram_tt, double c) {
  const at::Tensor a = gram_tt[0][0];
  const at::Tensor b = gram_tt[0][1];
  const at::Tensor d = gram_tt[1][1];
  const at::Tensor mean_norm = (0.25 * (a + 2.0 * b + d)).clamp_min(0.0).sqrt();
  const at::Tensor x = best_mixture_of_two(gram_tt, c * mean_norm);
  const at::Tensor mixture = at::stack({x, 1.0 - x});
  const at::Tensor squared_norm = x * x * a + 2.0 * x * (1.0 - x) * b + (1.0 - x) * (1.0 - x) * d;
  const at::Tensor has_direction = squared_norm > kVanishing * kVanishing * (a + d);
  const at::Tensor pull = at::where(has_direction, c * mean_norm / squared_norm.sqrt(), at::zeros_like(x));
  return 2.0 * (0.5 + pull * mixture);
}

}  // namespace

at::Tensor cagrad_factors(const at::Tensor& gram_tt, double c, std::int64_t rescale) {
  const double divisor = rescale == 0 ? 1.0 : rescale == 1 ? 1.0 + c * c : 1.0 + c;
  if (gram_tt.size(0) == 2) {
    return cagrad_of_two(gram_tt, c) / divisor;
  }
  const auto num_tasks = static_cast<double>(gram_tt.size(0));
  const at::Tensor onto_mean = gram_tt.mean(1);  // g_t.g_0
  const at::Tensor mean_norm = onto_mean.mean().clamp_min(0.0).sqrt();
  const at::Tensor mixture = smallest_linear_plus_norm(gram_tt, onto_mean, c * mean_norm);
  const at::Tensor squared_norm = at::dot(mixture, at::mv(gram_tt, mixture));
  const at::Tensor has_direction = squared_norm > kVanishing * kVanishing * gram_tt.diagonal().sum();
  const at::Tensor pull = at::where(has_direction, c * mean_norm / squared_norm.sqrt(), at::zeros_like(squared_norm));
  return num_tasks * (1.0 / num_tasks + pull * mixture) / divisor;
}

std::unique_ptr<TaskWeighting> make_cagrad(const MethodOptions& options) {
  return make_gradient_method(options,
                              [section = options.section](const at::Tensor& gram_tt, const at::Tensor&, const Moment&) {
                                return cagrad_factors(gram_tt, section.c, section.rescale);
                              });
}

}  // namespace xtasc::weighting
