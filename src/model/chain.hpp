#pragma once

#include <array>
#include <vector>

#include "model/batch_norm.hpp"
#include "model/layers.hpp"
#include "net/mtan.hpp"

namespace xtasc::model {

/// Convolutions one behind the other, each with a batch norm and a ReLU where its description has a norm, alone where
/// it has none.
class Chain {
 public:
  Chain() = default;
  Chain(ParameterSet& set, const net::Chain& layers);

  /// \param x  joined, where the first layer reads two tensors
  [[nodiscard]] at::Tensor forward(const Joined& x, const Mode& mode) const;
  /// The same of the input made twice as large.
  [[nodiscard]] at::Tensor forward_upsampled(const at::Tensor& low_nchw, const Mode& mode) const;
  /// From now on for evaluation only: see fold().
  void fold_norms();
  /// Of the first convolution, and of the last.
  [[nodiscard]] at::Tensor first_weight() const { return layers_.front().convolution.weight; }
  [[nodiscard]] at::Tensor last_weight() const { return layers_.back().convolution.weight; }

 private:
  struct Layer {
    Convolution convolution;
    BatchNorm norm;
    bool has_norm = false;
  };

  std::vector<Layer> layers_;
};

/// One of each, in their order.
[[nodiscard]] std::vector<Chain> make_chains(ParameterSet& set, const std::vector<net::Chain>& layers);

/// A mask of values between 0 and 1 for each channel and pixel, and its product with what it is for:
///
///     sigmoid(norm(conv(max(0, norm(conv(x)))))) * attended
///
/// Source: Liu et al. 2019, arXiv:1803.10704, section 3.1.
class Attention {
 public:
  Attention(ParameterSet& set, const net::Mtan::Attention& layers);

  /// \param x  joined, (N, in, H, W) \param attended  (N, out, H, W)
  [[nodiscard]] at::Tensor forward(const Joined& x, const at::Tensor& attended, const Mode& mode) const;
  void fold_norms();
  /// Of the first convolution.
  [[nodiscard]] at::Tensor first_weight() const { return layers_.front().convolution.weight; }

 private:
  struct Layer {
    Convolution convolution;
    BatchNorm norm;
  };
  std::array<Layer, 2> layers_;
};

}  // namespace xtasc::model
