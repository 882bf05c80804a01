#include <ATen/ATen.h>

#include <limits>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

constexpr int kIterations = 24;  // random matrices of up to 10 tasks take 13 at most, to 1e-10, for alpha from 0.5 to 5
constexpr int kHalvings = 8;
constexpr double kLargestOpposition = 1.0 - 1e-6;
constexpr double kRidge = 1e-14;  ///< of each squared norm: three gradients may add up to 0 without any two opposing
constexpr double kIsNear = 0.05;  ///< a relative step from which on Newton's method needs no search
constexpr double kSmallestShrinking = 0.1;
constexpr double kLargestExponent = 8.0;

/// M without the rows of tasks that have no gradient, and with no cosine nearer to -1 than 1e-6, where the solution
/// grows without bound.
at::Tensor regular(const at::Tensor& gram_tt, const at::Tensor& has_gradient_t) {
  const at::Tensor both = has_gradient_t.unsqueeze(0).logical_and(has_gradient_t.unsqueeze(1));
  const at::Tensor matrix = at::where(both, gram_tt, at::eye(gram_tt.size(0), gram_tt.options()));
  const at::Tensor norms = matrix.diagonal().sqrt();
  return at::maximum(matrix, -kLargestOpposition * norms.unsqueeze(0) * norms.unsqueeze(1)) +
         kRidge * at::diag(matrix.diagonal());
}

/// (K): what the solution makes smallest, at each row. \param w_kt  (K, T), positive
at::Tensor value_at(const at::Tensor& w_kt, const at::Tensor& matrix_tt, double p) {
  const at::Tensor fairness = p == 1.0 ? w_kt.log().sum(1) : w_kt.pow(1.0 - p).sum(1) / (1.0 - p);
  return 0.5 * (at::matmul(w_kt, matrix_tt) * w_kt).sum(1) - fairness;
}

/// The best of steps that go a half, a quarter ... of the way, along a line and along an exponential.
at::Tensor best_step(const at::Tensor& w, const at::Tensor& step, const at::Tensor& matrix_tt, double p) {
  const at::Tensor lengths = at::exp2(-at::arange(kHalvings, w.options())).unsqueeze(1);
  const at::Tensor along = (1.0 + lengths * step).clamp_min(kSmallestShrinking);
  const at::Tensor bent = (lengths * step.clamp(-kLargestExponent, kLargestExponent)).exp();
  const at::Tensor candidates = w * at::cat({along, bent});
  const at::Tensor values = value_at(candidates, matrix_tt, p);
  const at::Tensor infinity = at::full({}, std::numeric_limits<double>::infinity(), w.options());
  const at::Tensor best = at::where(at::isfinite(values), values, infinity).argmin(0, /*keepdim=*/true);
  return candidates.index_select(0, best).squeeze(0);
}

}  // namespace

/// By Newton's method for the smallest of w^T M w / 2 - sum_t w_t^(1 - p) / (1 - p), p = 1 / alpha, a convex function
/// whose gradient vanishes at the solution. Steps are relative to w, which so stays positive.
at::Tensor fairgrad_factors(const at::Tensor& gram_tt, double alpha) {
  if (alpha == 0.0) {
    return at::ones({gram_tt.size(0)}, gram_tt.options());
  }
  const double p = 1.0 / alpha;
  const at::Tensor has_gradient = gram_tt.diagonal() > 0.0;
  const at::Tensor scale = gram_tt.diagonal().sum() / has_gradient.sum().clamp_min(1);
  const at::Tensor unit = at::where(scale > 0.0, scale, at::ones_like(scale));
  const at::Tensor matrix = regular(gram_tt / unit, has_gradient);
  at::Tensor w = matrix.diagonal().pow(-alpha / (1.0 + alpha));  // exact where all gradients are orthogonal
  for (int i = 0; i < kIterations; ++i) {
    const at::Tensor fairness = w.pow(1.0 - p);
    const at::Tensor gradient = w * at::mv(matrix, w) - fairness;
    const at::Tensor hessian = w.unsqueeze(1) * matrix * w.unsqueeze(0) + at::diag(p * fairness);
    const at::Tensor step = std::get<0>(at::linalg_solve_ex(hessian, -gradient.unsqueeze(1))).squeeze(1);
    w = at::where(step.abs().amax() < kIsNear, w * (1.0 + step), best_step(w, step, matrix, p));
  }
  return at::where(has_gradient, w * unit.pow(-alpha / (1.0 + alpha)), at::zeros_like(w));
}

std::unique_ptr<TaskWeighting> make_fairgrad(const MethodOptions& options) {
  return make_gradient_method(
      options,
      [alpha = options.section.alpha](const at::Tensor& gram_tt, const at::Tensor&, const Moment&) {
        return static_cast<double>(gram_tt.size(0)) * fairgrad_factors(gram_tt, alpha);
      },
      options.section.max_norm);
}

}  // namespace xtasc::weighting
