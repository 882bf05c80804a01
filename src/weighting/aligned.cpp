#include <ATen/ATen.h>

#include <limits>

#include "weighting/methods.hpp"
#include "weighting/symmetric.hpp"

namespace xtasc::weighting {

namespace {

constexpr double kFloatEpsilon = std::numeric_limits<float>::epsilon();

/// With s^2 the determinant of M, M^(1/2) = (M + s 1) / t and t^2 = trace + 2 s.
at::Tensor aligned_of_two(const at::Tensor& gram_tt) {
  const at::Tensor a = gram_tt[0][0];
  const at::Tensor b = gram_tt[0][1];
  const at::Tensor d = gram_tt[1][1];
  const at::Tensor trace = a + d;
  const at::Tensor s = (a * d - b * b).clamp_min(0.0).sqrt();
  const at::Tensor largest = 0.5 * (trace + (trace * trace - 4.0 * s * s).clamp_min(0.0).sqrt());
  const at::Tensor smallest = s * s / largest;
  const at::Tensor t = (trace + 2.0 * s).sqrt();
  const at::Tensor of_two = smallest.sqrt() / (s * t) * at::stack({d + s - b, a + s - b});
  const at::Tensor of_one = at::stack({a + b, b + d}) / trace;
  const at::Tensor factors = at::where(smallest > 2.0 * kFloatEpsilon * largest, of_two, of_one);
  return at::where(trace > 0.0, factors, at::ones_like(factors));
}

}  // namespace

at::Tensor aligned_factors(const at::Tensor& gram_tt) {
  const std::int64_t num_tasks = gram_tt.size(0);
  if (num_tasks == 2) {
    return aligned_of_two(gram_tt);
  }
  const auto [values, vectors] = eigen_of_symmetric(gram_tt);
  const at::Tensor largest = values.max();
  const at::Tensor is_kept = values > largest * (static_cast<double>(num_tasks) * kFloatEpsilon);
  const at::Tensor smallest =
      at::where(is_kept, values, at::full_like(values, std::numeric_limits<double>::infinity())).min();
  const at::Tensor shrunk = at::where(is_kept, (smallest / values).sqrt(), at::zeros_like(values));
  const at::Tensor factors = at::mv(vectors, shrunk * vectors.sum(0));
  return at::where(largest > 0.0, factors, at::ones_like(factors));
}

std::unique_ptr<TaskWeighting> make_aligned(const MethodOptions& options) {
  return make_gradient_method(
      options, [](const at::Tensor& gram_tt, const at::Tensor&, const Moment&) { return aligned_factors(gram_tt); });
}

}  // namespace xtasc::weighting
