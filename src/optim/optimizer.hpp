#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace xtasc::optim {

/// Long vectors that an optimizer moves, one fused kernel each.
struct Group {
  std::string name;              ///< names its state in a checkpoint
  at::Tensor values, gradients;  ///< 1-D, dense, float32 or float64
  double weight_decay = 0.0;     ///< so much of the values is added to the gradients, or taken off them: see the rule
};

/// A rule that moves values by their gradients. Nothing in it waits for the device.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Moves all groups at this rate.
  void step(double learning_rate) {
    set_learning_rate(learning_rate);
    step();
  }
  /// The two halves of step(): the rate lies on the device, where captured work finds it.
  void set_learning_rate(double learning_rate);
  virtual void step() = 0;

  /// All that the next step depends on by name, as views: copying into them restores the optimizer.
  [[nodiscard]] virtual std::vector<std::pair<std::string, at::Tensor>> state() const = 0;

 protected:
  explicit Optimizer(std::vector<Group> groups);
  Optimizer(const Optimizer&) = default;
  Optimizer& operator=(const Optimizer&) = default;

  std::vector<Group> groups_;
  std::vector<at::Tensor> learning_rates_;  ///< 0-D, one a group
};

}  // namespace xtasc::optim
