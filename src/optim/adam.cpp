#include "optim/adam.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace xtasc::optim {

namespace {

constexpr double kEpsilon = 1e-8;

}  // namespace

Adam::Adam(std::vector<Group> groups, const Options& options) : groups_(std::move(groups)), options_(options) {
  for (const Group& group : groups_) {
    first_moments_.push_back(at::zeros_like(group.values));
    second_moments_.push_back(at::zeros_like(group.values));
    steps_.push_back(at::zeros({}, group.values.options().dtype(at::kFloat)));
    // CUDA's kernel reads a float32 rate whatever the values are; the CPU's reads one of the values' type.
    const at::TensorOptions of_values = group.values.options();
    learning_rates_.push_back(
        at::full({}, group.learning_rate, of_values.device().is_cuda() ? of_values.dtype(at::kFloat) : of_values));
  }
}

void Adam::set_learning_rate(double learning_rate) {
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    if (groups_[i].learning_rate == 0.0) {
      learning_rates_[i].fill_(learning_rate);
    }
  }
}

void Adam::step(double learning_rate) {
  set_learning_rate(learning_rate);
  step();
}

void Adam::step() {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    steps_[i].add_(1);
    at::_fused_adam_({groups_[i].values}, {groups_[i].gradients}, {first_moments_[i]}, {second_moments_[i]},
                     /*max_exp_avg_sqs=*/{}, {steps_[i]}, learning_rates_[i], options_.beta1, options_.beta2,
                     groups_[i].weight_decay, kEpsilon, /*amsgrad=*/false, /*maximize=*/false);
  }
}

std::vector<std::pair<std::string, at::Tensor>> Adam::state() const {
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    state.emplace_back("adam." + groups_[i].name + ".first_moment", first_moments_[i]);
    state.emplace_back("adam." + groups_[i].name + ".second_moment", second_moments_[i]);
    state.emplace_back("adam." + groups_[i].name + ".step", steps_[i]);
  }
  return state;
}

}  // namespace xtasc::optim
