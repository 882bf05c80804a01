#include <ATen/ATen.h>

#include "weighting/methods.hpp"
#include "weighting/simplex.hpp"

namespace xtasc::weighting {

namespace {

at::Tensor upgrad_of_two(const at::Tensor& gram_tt) {
  const at::Tensor conflict = gram_tt[0][1].clamp_max(0.0);
  return 0.5 - 0.5 * conflict / at::stack({gram_tt[0][0], gram_tt[1][1]}).clamp_min(kTiny);
}

}  // namespace

at::Tensor upgrad_factors(const at::Tensor& gram_tt) {
  const std::int64_t num_tasks = gram_tt.size(0);
  if (num_tasks == 2) {
    return upgrad_of_two(gram_tt);
  }
  at::Tensor factors = at::zeros({num_tasks}, gram_tt.options());
  for (std::int64_t task = 0; task < num_tasks; ++task) {
    factors = factors + smallest_quadratic_above(gram_tt, task);
  }
  return factors / static_cast<double>(num_tasks);
}

std::unique_ptr<TaskWeighting> make_upgrad(const MethodOptions& options) {
  return make_gradient_method(
      options, [](const at::Tensor& gram_tt, const at::Tensor&, const Moment&) { return upgrad_factors(gram_tt); });
}

}  // namespace xtasc::weighting
