#include "optim/adam.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace xtasc::optim {

namespace {

constexpr double kEpsilon = 1e-8;

}  // namespace

Adam::Adam(std::vector<Group> groups, const Options& options) : Optimizer(std::move(groups)), options_(options) {
  for (const Group& group : groups_) {
    first_moments_.push_back(at::zeros_like(group.values));
    second_moments_.push_back(at::zeros_like(group.values));
    steps_.push_back(at::zeros({}, group.values.options().dtype(at::kFloat)));
  }
}

void Adam::step() {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    steps_[i].add_(1);
    const at::Tensor &values = groups_[i].values, &gradients = groups_[i].gradients;
    if (options_.decouples_weight_decay) {
      at::_fused_adamw_({values}, {gradients}, {first_moments_[i]}, {second_moments_[i]}, /*max_exp_avg_sqs=*/{},
                        {steps_[i]}, learning_rates_[i], options_.beta1, options_.beta2, groups_[i].weight_decay,
                        kEpsilon, /*amsgrad=*/false, /*maximize=*/false);
    } else {
      at::_fused_adam_({values}, {gradients}, {first_moments_[i]}, {second_moments_[i]}, /*max_exp_avg_sqs=*/{},
                       {steps_[i]}, learning_rates_[i], options_.beta1, options_.beta2, groups_[i].weight_decay,
                       kEpsilon, /*amsgrad=*/false, /*maximize=*/false);
    }
  }
}

std::vector<std::pair<std::string, at::Tensor>> Adam::state() const {
  const std::string rule = options_.decouples_weight_decay ? "adamw." : "adam.";
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const std::string prefix = rule + groups_[i].name;
    state.emplace_back(prefix + ".first_moment", first_moments_[i]);
    state.emplace_back(prefix + ".second_moment", second_moments_[i]);
    state.emplace_back(prefix + ".step", steps_[i]);
  }
  return state;
}

}  // namespace xtasc::optim
