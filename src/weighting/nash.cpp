#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

std::unique_ptr<TaskWeighting> make_nash(const MethodOptions& options) {
  return make_gradient_method(
      options,
      [](const at::Tensor& gram_tt, const at::Tensor&, const Moment&) { return fairgrad_factors(gram_tt, 1.0); },
      options.section.max_norm);
}

}  // namespace xtasc::weighting
