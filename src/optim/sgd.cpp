#include "optim/sgd.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace xtasc::optim {

Sgd::Sgd(std::vector<Group> groups, double momentum) : Optimizer(std::move(groups)), momentum_(momentum) {
  for (const Group& group : groups_) {
    if (momentum_ > 0.0) {
      buffers_.push_back(at::zeros_like(group.values));
    }
  }
}

void Sgd::step() {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const std::vector<at::Tensor> buffer =
        buffers_.empty() ? std::vector<at::Tensor>() : std::vector<at::Tensor>{buffers_[i]};
    // A buffer of zeros makes the first step like all others, so that one capture serves them all.
    at::_fused_sgd_({groups_[i].values}, {groups_[i].gradients}, buffer, groups_[i].weight_decay, momentum_,
                    learning_rates_[i], /*dampening=*/0.0, /*nesterov=*/false, /*maximize=*/false,
                    /*is_first_step=*/false);
  }
}

std::vector<std::pair<std::string, at::Tensor>> Sgd::state() const {
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    state.emplace_back("sgd." + groups_[i].name + ".momentum", buffers_[i]);
  }
  return state;
}

}  // namespace xtasc::optim
