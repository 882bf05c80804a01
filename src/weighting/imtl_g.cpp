#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

at::Tensor imtl_g_of_two(const at::Tensor& norms) {
  const at::Tensor sum = norms.sum();
  return at::where(sum > 0.0, at::stack({norms[1], norms[0]}) / sum, at::full_like(norms, 0.5));
}

}  // namespace

at::Tensor imtl_g_factors(const at::Tensor& gram_tt) {
  const at::Tensor norms = gram_tt.diagonal().sqrt();
  if (gram_tt.size(0) == 2) {
    return imtl_g_of_two(norms);
  }
  // Row 0: sum_t a_t = 1. Row i: sum_t a_t g_t.(u_0 - u_i) = 0.
  const at::Tensor onto_unit = gram_tt / norms.unsqueeze(0);  // (t, i): g_t.u_i
  at::Tensor rows = (onto_unit.narrow(1, 0, 1) - onto_unit).t().contiguous();
  rows[0].fill_(1.0);
  at::Tensor right = at::zeros_like(norms);
  right[0].fill_(1.0);
  const at::Tensor a = std::get<0>(at::linalg_solve_ex(rows, right.unsqueeze(1))).squeeze(1);
  const at::Tensor even = at::full_like(norms, 1.0 / static_cast<double>(norms.size(0)));
  return at::where(at::isfinite(a).all(), a, even);
}

std::unique_ptr<TaskWeighting> make_imtl_g(const MethodOptions& options) {
  return make_gradient_method(
      options, [](const at::Tensor& gram_tt, const at::Tensor&, const Moment&) { return imtl_g_factors(gram_tt); });
}

}  // namespace xtasc::weighting
