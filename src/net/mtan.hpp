#pragma once

#include "net/segnet.hpp"

namespace xtasc::net {

/// Multi-task attention network: a SegNet that all tasks share, and a task's attention over each of its stages, up and
/// down. With one task: STAN. Liu et al. 2019, arXiv:1803.10704; tensor names of https://github.com/lorenmt/mtan,
/// im2im_pred/model_segnet_mtan.py.
struct Mtan {
  /// 1x1, norm, ReLU, 1x1, norm, sigmoid.
  using Attention = std::array<Convolution, 2>;
  struct OfTask {
    std::array<Attention, 5> encoder, decoder;  ///< at 1/2^i
  };

  SegNet trunk;
  std::vector<OfTask> attention;  ///< one a task
  /// What brings an attended stage to the next one's channels: the same for all tasks.
  std::array<Chain, 5> encoder_block_att, decoder_block_att;
  std::vector<Chain> heads;
  std::vector<Chain> adaptors = {};  ///< of a student, see net::kd4mtl: one a task, its layers by themselves
};

[[nodiscard]] Mtan mtan(const Choice& choice);

/// In the order of the tensors.
[[nodiscard]] Chain convolutions_of(const Mtan& net);

[[nodiscard]] Chain mtan_convolutions(const Choice& choice);
[[nodiscard]] std::vector<std::string> mtan_unread(const Choice& choice);

}  // namespace xtasc::net
