#pragma once

#include <array>
#include <vector>

#include "kernels/pool/pool.hpp"
#include "model/chain.hpp"
#include "net/cross_stitch.hpp"
#include "net/segnet.hpp"

namespace xtasc::model {

/// Computes net::SegNet.
class SegNet {
 public:
  using Five = std::array<at::Tensor, 5>;

  /// What a stage on the way down gives at 1/2^i: behind its first block, behind its second, and which values the pool
  /// behind it keeps.
  struct Down {
    Five first, second, which;
    at::Tensor bottom;  ///< (N, 512, H / 32, W / 32)
  };
  /// What a stage on the way up is given and gives at 1/2^i; second[0] is what heads read, (N, 64, H, W).
  struct Up {
    Five unpooled, second;
  };

  SegNet(ParameterSet& set, const net::SegNet& layers);

  /// \param image_n3hw  (N, 3, H, W), normalised; H and W multiples of 32
  [[nodiscard]] Down down(const at::Tensor& image_n3hw, const Mode& mode) const;
  [[nodiscard]] Up up(const Down& down, const Mode& mode) const;
  /// From now on for evaluation only: see fold().
  void fold_norms();
  /// Of the last layer on the way up.
  [[nodiscard]] at::Tensor last_weight() const { return conv_block_dec_[0].last_weight(); }

 private:
  std::array<Chain, 5> encoder_block_, conv_block_enc_, decoder_block_, conv_block_dec_;
};

/// Computes net::Blocks.
class BlocksOfNet {
 public:
  BlocksOfNet(ParameterSet& set, const net::Blocks& layers);

  /// Block i on the way down, and the pool behind it.
  [[nodiscard]] kernels::MaxPooled down(std::size_t i, const Joined& x, const Mode& mode) const {
    return kernels::max_pool_2x2(encoder[i].forward(x, mode));
  }
  /// From now on for evaluation only: see fold().
  void fold_norms();

  std::array<Chain, 5> encoder, decoder;  ///< at 1/2^i
};

}  // namespace xtasc::model
