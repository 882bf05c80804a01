#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "optim/optimizer.hpp"

namespace xtasc::optim {

/// Adam, and AdamW where the weight decay is apart from the gradients:
///
///     Adam:  g := g + weight_decay * values;   AdamW:  values := values * (1 - learning_rate * weight_decay)
///     values := values - learning_rate * m / (sqrt(v) + eps), bias-corrected
///
/// Source: Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1; epsilon 1e-8 (SPEC section 5); Loshchilov
/// and Hutter 2019, https://arxiv.org/abs/1711.05101, algorithm 2, in PyTorch's form.
class Adam final : public Optimizer {
 public:
  using Group = optim::Group;
  struct Options {
    double beta1 = 0.9;
    double beta2 = 0.999;
    bool decouples_weight_decay = false;  ///< AdamW
  };

  Adam(std::vector<Group> groups, const Options& options);

  using Optimizer::step;
  void step() override;

  /// Moments and step counts, "adam.NAME.first_moment"; of AdamW "adamw.NAME.first_moment".
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> state() const override;

 private:
  Options options_;
  std::vector<at::Tensor> first_moments_, second_moments_, steps_;
};

}  // namespace xtasc::optim
