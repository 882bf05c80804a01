#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "optim/optimizer.hpp"

namespace xtasc::optim {

/// Gradient descent with momentum:
///
///     g := g + weight_decay * values;   b := momentum * b + g, from b = 0;   values := values - learning_rate * b
///
/// Source: Sutskever et al. 2013, https://proceedings.mlr.press/v28/sutskever13.html, in PyTorch's form, where the rate
/// is no part of the buffer.
class Sgd final : public Optimizer {
 public:
  /// \param momentum  0: there is no buffer
  Sgd(std::vector<Group> groups, double momentum);

  using Optimizer::step;
  void step() override;

  /// "sgd.NAME.momentum".
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> state() const override;

 private:
  double momentum_;
  std::vector<at::Tensor> buffers_;  ///< one a group; none without momentum
};

}  // namespace xtasc::optim
