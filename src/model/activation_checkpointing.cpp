#include "model/activation_checkpointing.hpp"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <memory>

namespace xtasc::model {

namespace {

using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

class RecomputeBackward final : public torch::autograd::Node {
 public:
  SavedVariable x;
  std::vector<SavedVariable> parameters;  ///< saved, so that autograd refuses those that changed meanwhile
  Computation compute_again;

  variable_list apply(variable_list&& gradients) override {
    const bool wants_x = task_should_compute_output(0);
    const at::Tensor leaf = x.unpack().detach().requires_grad_(wants_x);
    variable_list inputs;
    if (wants_x) {
      inputs.push_back(leaf);
    }
    for (const SavedVariable& parameter : parameters) {
      inputs.push_back(parameter.unpack());
    }
    at::Tensor y;
    {
      const c10::AutoGradMode with_gradients(true);
      y = compute_again(leaf);
    }
    // Asks for the gradients instead of accumulating them: that is left to the walk that called this.
    variable_list found = torch::autograd::grad({y}, inputs, {gradients[0]}, /*retain_graph=*/false,
                                                /*create_graph=*/false, /*allow_unused=*/true);
    if (!wants_x) {
      found.insert(found.begin(), at::Tensor());
    }
    return found;
  }

  void release_variables() override {
    x.reset_data();
    for (SavedVariable& parameter : parameters) {
      parameter.reset_data();
    }
  }
};

}  // namespace

at::Tensor recomputed_in_backward(const at::Tensor& x, const std::vector<at::Tensor>& parameters,
                                  const Computation& compute, const Computation& compute_again) {
  at::Tensor y;
  {
    const c10::NoGradGuard no_grad;
    y = compute(x);
  }
  if (c10::GradMode::is_enabled()) {
    const auto node = std::shared_ptr<RecomputeBackward>(new RecomputeBackward(), torch::autograd::deleteNode);
    node->set_next_edges(torch::autograd::collect_next_edges(x, parameters));
    node->x = SavedVariable(x, /*is_output=*/false);
    for (const at::Tensor& parameter : parameters) {
      node->parameters.emplace_back(parameter, /*is_output=*/false);
    }
    node->compute_again = compute_again;
    torch::autograd::set_history(y, node);
  }
  return y;
}

}  // namespace xtasc::model
