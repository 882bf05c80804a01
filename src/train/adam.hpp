#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace xtasc::train {

/// Adam without weight decay over a few long vectors, one fused kernel each.
/// Source: Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1; epsilon 1e-8 (SPEC section 5).
class Adam {
 public:
  struct Group {
    std::string name;              ///< names the moments in a checkpoint
    at::Tensor values, gradients;  ///< 1-D, dense, float32 or float64
  };

  Adam(std::vector<Group> groups, double beta1, double beta2);

  /// values := values - learning_rate * m / (sqrt(v) + eps), bias-corrected. No host wait on CUDA.
  void step(double learning_rate);

  /// Moments and step counts by name, as views: copying into them restores the optimizer.
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> state() const;

 private:
  std::vector<Group> groups_;
  double beta1_, beta2_;
  std::vector<at::Tensor> first_moments_, second_moments_, steps_;
  at::Tensor learning_rate_;
};

}  // namespace xtasc::train
