#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

std::unique_ptr<TaskWeighting> make_gls(const MethodOptions& /*options*/) {
  return make_loss_method([](const at::Tensor& losses_t) {
    const at::Tensor num_tasks = (losses_t > 0.0).sum().clamp_min(1).to(losses_t.scalar_type());
    const StepWeights logs = of_log_losses(losses_t);
    const at::Tensor mean = (logs.total / num_tasks).exp();
    return StepWeights{mean / num_tasks * logs.weights, mean};
  });
}

}  // namespace xtasc::weighting
