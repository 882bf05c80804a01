#include <ATen/ATen.h>

#include "weighting/methods.hpp"

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
at::Tensor best_mixture(const Gram& gram, const at::Tensor& k) {
  const at::Tensor p = (gram.seg_seg - 2.0 * gram.seg_depth + gram.depth_depth).clamp_min(0.0);
  const at::Tensor slope = 0.5 * (gram.seg_seg - gram.depth_depth);
  const at::Tensor determinant = (gram.seg_seg * gram.depth_depth - gram.seg_depth * gram.seg_depth).clamp_min(0.0);
  const at::Tensor curvature = k * k * p - slope * slope;
  const at::Tensor u = -slope * (determinant / curvature).sqrt();
  const at::Tensor inside = ((u - gram.seg_depth + gram.depth_depth) / p).clamp(0.0, 1.0);
  // Without a stationary point F falls or rises all the way; for equal gradients it is constant.
  const at::Tensor at_an_end = (0.5 - 0.5 * slope.sign());
  return at::where(curvature > 0.0, inside, at_an_end);
}

}  // namespace

at::Tensor cagrad_factors(const Gram& gram, double c, std::int64_t rescale) {
  const at::Tensor mean_norm = (0.25 * (gram.seg_seg + 2.0 * gram.seg_depth + gram.depth_depth)).clamp_min(0.0).sqrt();
  const at::Tensor x = best_mixture(gram, c * mean_norm);
  const at::Tensor mixture = at::stack({x, 1.0 - x});
  const at::Tensor squared_norm =
      x * x * gram.seg_seg + 2.0 * x * (1.0 - x) * gram.seg_depth + (1.0 - x) * (1.0 - x) * gram.depth_depth;
  const at::Tensor has_direction = squared_norm > kVanishing * kVanishing * (gram.seg_seg + gram.depth_depth);
  const at::Tensor pull = at::where(has_direction, c * mean_norm / squared_norm.sqrt(), at::zeros_like(x));
  const double divisor = rescale == 0 ? 1.0 : rescale == 1 ? 1.0 + c * c : 1.0 + c;
  return 2.0 * (0.5 + pull * mixture) / divisor;
}

}  // namespace xtasc::weighting
