#include <ATen/ATen.h>

#include "core/error.hpp"
#include "core/random.hpp"
#include "weighting/methods.hpp"
#include "weighting/task_order.hpp"

namespace xtasc::weighting {

namespace {

at::Tensor pcgrad_of_two(const at::Tensor& gram_tt) {
  const at::Tensor conflict = gram_tt[0][1].clamp_max(0.0);
  return 1.0 - conflict / at::stack({gram_tt[0][0], gram_tt[1][1]}).clamp_min(kTiny);
}

}  // namespace

at::Tensor pcgrad_factors(const at::Tensor& gram_tt, std::uint64_t seed, std::int64_t step) {
  const std::int64_t num_tasks = gram_tt.size(0);
  if (num_tasks == 2) {  // whose order does not matter
    return pcgrad_of_two(gram_tt);
  }
  const at::Tensor squared_norms = gram_tt.diagonal().clamp_min(kTiny);
  const at::Tensor identity = at::eye(num_tasks, gram_tt.options());
  RandomStream stream(seed, Purpose::task_order, 0, static_cast<std::uint64_t>(step));
  at::Tensor factors = at::zeros({num_tasks}, gram_tt.options());
  for (std::int64_t task = 0; task < num_tasks; ++task) {
    at::Tensor mixture = identity[task];  // of the gradients: what is left of this one
    for (const std::int64_t other : order_of_others(task, num_tasks, stream)) {
      const at::Tensor conflict = at::dot(mixture, gram_tt[other]).clamp_max(0.0);
      mixture = mixture - conflict / squared_norms[other] * identity[other];
    }
    factors = factors + mixture;
  }
  return factors;
}

std::unique_ptr<TaskWeighting> make_pcgrad(const MethodOptions& options) {
  const GradientFactors factors = [seed = options.seed](const at::Tensor& gram_tt, const at::Tensor&,
                                                        const Moment& moment) {
    return pcgrad_factors(gram_tt, seed, moment.step);
  };
  switch (options.section.losses) {
    case config::CombinedLosses::plain:
      return make_gradient_method(options, factors);
    case config::CombinedLosses::uncertainty:
      return make_uncertainty_with(options, factors);
  }
  fail("unknown losses {}", static_cast<int>(options.section.losses));
}

}  // namespace xtasc::weighting
