#include "optim/optimizer.hpp"

#include <ATen/ATen.h>

namespace xtasc::optim {

Optimizer::Optimizer(std::vector<Group> groups) : groups_(std::move(groups)) {
  for (const Group& group : groups_) {
    // CUDA's kernels read a float32 rate whatever the values are; the CPU's read one of the values' type.
    const at::TensorOptions of_values = group.values.options();
    learning_rates_.push_back(at::zeros({}, of_values.device().is_cuda() ? of_values.dtype(at::kFloat) : of_values));
  }
}

void Optimizer::set_learning_rate(double learning_rate) {
  for (const at::Tensor& rate : learning_rates_) {
    rate.fill_(learning_rate);
  }
}

}  // namespace xtasc::optim
