#include "model/ttnet.hpp"

#include <ATen/ATen.h>

#include "core/error.hpp"
#include "model/recompute.hpp"

namespace xtasc::model {

TransferNet::TransferNet(ParameterSet& set, const std::string& prefix, std::int64_t in, std::int64_t out,
                         const Options& options) {
  const auto& w = options.widths;
  check(w.size() == 3, "a task-transfer net has 3 widths, found {}", w.size());
  const auto make_double = [&](const std::string& name, std::int64_t from, std::int64_t to) {
    Double pair;
    for (std::size_t i = 0; i < 2; ++i) {
      pair.convolutions[i] =
          make_convolution(set, fmt::format("{}{}.conv{}", prefix, name, i + 1), i == 0 ? from : to, to, {});
      if (options.batch_norm) {
        pair.norms[i] = make_batch_norm(set, fmt::format("{}{}.bn{}", prefix, name, i + 1), to);
      }
    }
    return pair;
  };
  down_ = {make_double("down1", in, w[0]), make_double("down2", w[0], w[1]), make_double("down3", w[1], w[2])};
  // Each skip is the pooled output of the way down, joined before the next upsample.
  up_ = {make_double("up1", w[2], w[1]), make_double("up2", w[1] + w[1], w[0]), make_double("up3", w[0] + w[0], w[0])};
  head_ = make_convolution(set, prefix + "head", w[0], out, {.kernel = 1, .bias = false});
  for (const auto& [name, tensor] : set.parameters()) {
    if (name.starts_with(prefix)) {
      parameters_.push_back(tensor);
    }
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
  if (!mode.recomputes_transfer) {
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
