#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace xtasc::optim {

/// Adam over a few long vectors, one fused kernel each.
/// Source: Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1; epsilon 1e-8 (SPEC section 5).
class Adam {
 public:
  struct Group {
    std::string name;              ///< names the moments in a checkpoint
    at::Tensor values, gradients;  ///< 1-D, dense, float32 or float64
    double weight_decay = 0.0;     ///< so much of the values is added to the gradients
    double learning_rate = 0.0;    ///< its own, which set_learning_rate() leaves alone; 0: none
  };
  struct Options {
    double beta1 = 0.9;
    double beta2 = 0.999;
  };

  Adam(std::vector<Group> groups, const Options& options);

  /// values := values - learning_rate * m / (sqrt(v) + eps), bias-corrected. No host wait on CUDA.
  void step(double learning_rate);
  /// The two halves of step(): the rate lies on the device, where captured work finds it.
  void set_learning_rate(double learning_rate);
  void step();

  /// Moments and step counts by name, as views: copying into them restores the optimizer.
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> state() const;

 private:
  std::vector<Group> groups_;
  Options options_;
  std::vector<at::Tensor> first_moments_, second_moments_, steps_;
  std::vector<at::Tensor> learning_rates_;
};

}  // namespace xtasc::optim
