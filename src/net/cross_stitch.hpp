#pragma once

#include "net/segnet.hpp"

namespace xtasc::net {

/// A SegNet whose stages are one block each, of two convolutions in the first two and three in the others.
struct Blocks {
  std::array<Chain, 5> encoder;  ///< at 1/2^i
  std::array<Chain, 5> decoder;  ///< at 1/2^i; in front of each an unpool
};

/// \param suffix  of "encoder_block" and "decoder_block" in the tensors' names: "" or "_t.1"
/// \param joins  every block but the encoder's first reads as many channels again of another net
[[nodiscard]] Blocks blocks(const std::string& suffix, std::int64_t reached_by, bool joins);

/// A SegNet a task, and in front of each block behind the first a learned mixture of all tasks' maps. Misra et al.
/// 2016, arXiv:1604.03539; tensor names of https://github.com/lorenmt/mtan, im2im_pred/model_segnet_cross.py.
struct CrossStitch {
  std::vector<Blocks> of_tasks;
  std::vector<Chain> heads;
};

[[nodiscard]] CrossStitch cross_stitch(const Choice& choice);

[[nodiscard]] Chain cross_stitch_convolutions(const Choice& choice);
[[nodiscard]] std::vector<std::string> cross_stitch_unread(const Choice& choice);

}  // namespace xtasc::net
