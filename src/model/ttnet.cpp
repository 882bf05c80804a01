#include "model/ttnet.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "model/activation_checkpointing.hpp"

namespace xtasc::model {

TransferNet::TransferNet(ParameterSet& set, const net::TransferNet& layers) {
  const std::size_t first = set.parameters().size();
  const auto make_double = [&set](const std::array<net::Convolution, 2>& layers_of_pair) {
    Double pair;
    for (std::size_t i = 0; i < 2; ++i) {
      const net::Convolution& layer = layers_of_pair[i];
      pair.convolutions[i] = make_convolution(set, layer);
      if (!layer.norm.empty()) {
        pair.norms[i] = make_batch_norm(set, layer.norm, layer.out);
      }
    }
    return pair;
  };
  std::ranges::transform(layers.down, down_.begin(), make_double);
  std::ranges::transform(layers.up, up_.begin(), make_double);
  head_ = make_convolution(set, layers.head);
  for (std::size_t i = first; i < set.parameters().size(); ++i) {
    parameters_.push_back(set.parameters()[i].tensor);
  }
}

void TransferNet::fold_norms() {
  for (auto* pairs : {&down_, &up_}) {
    for (Double& pair : *pairs) {
      for (std::size_t i = 0; i < 2; ++i) {
        if (pair.norms[i]) {
          fold(pair.convolutions[i], *pair.norms[i]);
          pair.norms[i].reset();
        }
      }
    }
  }
}

at::Tensor TransferNet::forward(const Double& pair, const Joined& x, const Mode& mode, Direction direction) {
  at::Tensor y;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& norm = pair.norms[i];
    if (direction == Direction::down && i == 1 && !norm) {
      return convolve_and_pool({y, {}}, pair.convolutions[i], mode);
    }
    const Activation activation = norm ? Activation::none : Activation::relu;
    const auto [convolution, left_out] =
        norm ? unbiased(pair.convolutions[i], *norm, mode) : Unbiased{pair.convolutions[i], {}};
    if (direction == Direction::up && i == 0) {
      y = convolve_upsampled(x, {}, convolution, mode, activation);
    } else {
      y = convolve(i == 0 ? x : Joined{y, {}}, convolution, mode, activation);
    }
    if (norm) {
      y = batch_norm(y, *norm, mode, Activation::relu, left_out);
    }
  }
  return direction == Direction::down ? at::max_pool2d(y, /*kernel_size=*/2) : y;
}

at::Tensor TransferNet::forward(const at::Tensor& x_nchw, const Mode& mode) const {
  if (!mode.checkpoints_transfer) {
    return compute(x_nchw, mode);
  }
  Mode again = mode;
  again.moves_running_statistics = false;
  return recomputed_in_backward(
      x_nchw, parameters_, [this, mode](const at::Tensor& x) { return compute(x, mode); },
      [this, again](const at::Tensor& x) { return compute(x, again); });
}

at::Tensor TransferNet::compute(const at::Tensor& x_nchw, const Mode& mode) const {
  std::array<at::Tensor, 3> pooled;
  at::Tensor x = x_nchw;
  for (std::size_t i = 0; i < 3; ++i) {
    x = forward(down_[i], {x, {}}, mode, Direction::down);
    pooled[i] = x;
  }
  x = forward(up_[0], {x, {}}, mode, Direction::up);
  x = forward(up_[1], {x, pooled[1]}, mode, Direction::up);
  x = forward(up_[2], {x, pooled[0]}, mode, Direction::up);
  return convolve({x, {}}, head_, mode).to(head_.weight.scalar_type());
}

}  // namespace xtasc::model
