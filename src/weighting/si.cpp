#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

StepWeights of_log_losses(const at::Tensor& losses_t) {
  return {if_any(losses_t, losses_t.reciprocal()), if_any(losses_t, losses_t.log()).sum()};
}

std::unique_ptr<TaskWeighting> make_si(const MethodOptions& /*options*/) {
  return make_loss_method(of_log_losses);
}

}  // namespace xtasc::weighting
