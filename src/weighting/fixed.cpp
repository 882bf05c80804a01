#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

std::unique_ptr<TaskWeighting> make_fixed(const MethodOptions& options) {
  const at::Tensor weights = at::ones({options.num_tasks}, options.tensors);
  for (std::size_t task = 0; task < options.section.weights.size(); ++task) {
    weights[static_cast<std::int64_t>(task)].fill_(options.section.weights[task]);
  }
  return make_loss_method([weights](const at::Tensor& losses_t) {
    return StepWeights{weights, (weights * losses_t).sum()};
  });
}

}  // namespace xtasc::weighting
