#pragma once

#include <array>
#include <optional>
#include <vector>

#include "model/batch_norm.hpp"
#include "model/layers.hpp"
#include "net/xtasc.hpp"

namespace xtasc::model {

/// Computes net::TransferNet.
class TransferNet {
 public:
  TransferNet(ParameterSet& set, const net::TransferNet& layers);

  /// (N, in, H, W) -> (N, out, H, W) float32 (float64 in fp64). H and W multiples of 8. With
  /// mode.checkpoints_transfer this net must stay where it is until backward is through.
  [[nodiscard]] at::Tensor forward(const at::Tensor& x_nchw, const Mode& mode) const;
  /// From now on for evaluation only: see fold().
  void fold_norms();

 private:
  /// Two convolutions with their activations.
  struct Double {
    std::array<Convolution, 2> convolutions;
    std::array<std::optional<BatchNorm>, 2> norms;
  };

  enum class Direction { down, up };  ///< with a max-pool behind, with an upsample in front

  [[nodiscard]] at::Tensor compute(const at::Tensor& x_nchw, const Mode& mode) const;
  [[nodiscard]] static at::Tensor forward(const Double& pair, const Joined& x, const Mode& mode, Direction direction);

  std::array<Double, 3> down_;
  std::array<Double, 3> up_;
  Convolution head_;
  std::vector<at::Tensor> parameters_;
};

}  // namespace xtasc::model
