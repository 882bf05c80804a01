#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernels/batch_norm/batch_norm.hpp"
#include "kernels/convolution.hpp"
#include "model/parameters.hpp"
#include "net/layers.hpp"

namespace xtasc::model {

using kernels::Activation;
using kernels::BatchNorm;
using kernels::Convolution;
using kernels::Joined;
using kernels::SumOverRanks;

using net::Part;

/// How a forward pass computes.
struct Mode {
  /// true: batch norm by the statistics of the global batch, which also move the running ones. false: by the running
  /// ones.
  bool training = false;
  /// Type of activations and of the weights that convolutions see: bfloat16, float32 or float64.
  ///
  /// The whole rule of the bf16 mode: convolutions, ReLU, pooling and upsampling take and give bfloat16; batch norm
  /// reads and writes bfloat16 but computes and keeps its statistics in float32 or wider; predictions leave the net in
  /// float32; losses, weights, gradients and the optimizer are float32.
  at::ScalarType compute = at::kFloat;
  /// The global batch's statistics come from here; empty for a world of one.
  SumOverRanks sum_over_ranks = {};
  /// false: training leaves the running statistics alone, for a second look at the same batch.
  bool moves_running_statistics = true;
  /// Forms that are equal in real arithmetic but cost less, wherever there is one. false: the plain form of every
  /// layer.
  bool rewrites = true;
  /// Task-transfer nets keep their input only and are computed a second time in backward.
  bool checkpoints_transfer = false;
  /// CUDA's convolutions compute with channels up to the next multiple of eight.
  bool pads_channels = false;
  /// All parameters in `compute`, laid out as ParameterSet::flat_values(), where CUDA's forms read them: one cast a
  /// step instead of one a layer. Undefined: each layer casts its own.
  at::Tensor flat_weights = {};
  /// Backward adds the gradients of parameters where they lie and hands none to autograd, which would take a launch for
  /// each. Only for walks that accumulate (Tensor::backward), not for those that ask for gradients.
  bool gradients_in_place = false;
  /// Draws from [0, 1) for dropout, Network::num_draws() for each image; not looked at unless in training.
  at::Tensor draws_nk = {};
  /// The place of the first image in the global batch, for networks that tell places apart.
  std::int64_t first_in_batch = 0;
  /// A network that learns from teachers, or is one, says what it compares: Predictions::features.
  bool wants_features = false;
  /// Which of Network::transfers() are computed; empty: all.
  std::vector<bool> transfers = {};
  /// Called by a network that has a cut (Network::has_cut) with what all tasks share, the last output last; what it
  /// leaves there is what goes on. Empty: nothing is cut.
  std::function<void(std::span<at::Tensor>)> at_cut = {};
  /// Told which part of the forward pass begins; may be empty.
  std::function<void(Part)> on_part = {};

  [[nodiscard]] bool computes_transfer(std::size_t index) const { return transfers.empty() || transfers[index]; }

  void enter(Part part) const {
    if (on_part) {
      on_part(part);
    }
  }
};

/// Declares NAME.weight and, if wanted, NAME.bias; not the tensors of its norm.
Convolution make_convolution(ParameterSet& set, const net::Convolution& layer);
/// Declares NAME.weight, .bias, .running_mean, .running_var.
BatchNorm make_batch_norm(ParameterSet& set, const std::string& name, std::int64_t channels);

/// Mode::draws_nk of so many images, the draws [first, first + count) of each. \throws Error where there are none
[[nodiscard]] at::Tensor draws_of(const Mode& mode, std::int64_t num_images, std::int64_t first, std::int64_t count);

/// (N, in, H, W) -> (N, out, H / stride, W / stride), in mode.compute, channels-last.
[[nodiscard]] at::Tensor convolve(const Joined& x, const Convolution& convolution, const Mode& mode,
                                  Activation activation = Activation::none);

/// convolve() with a ReLU, then max-pool of 2 x 2 at stride 2: (N, in, H, W) -> (N, out, H / 2, W / 2), rounded down.
[[nodiscard]] at::Tensor convolve_and_pool(const Joined& x, const Convolution& convolution, const Mode& mode);

/// convolve() of the joined upsampled `low` and `skip`: (N, C, H, W) and undefined or (N, D, 2H, 2W) -> (N, out, 2H,
/// 2W).
[[nodiscard]] at::Tensor convolve_upsampled(const Joined& low, const at::Tensor& skip, const Convolution& convolution,
                                            const Mode& mode, Activation activation = Activation::none);

}  // namespace xtasc::model
