#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "net/networks.hpp"

namespace xtasc::net {

/// Convolutions with batch norms, one behind the other.
using Chain = std::vector<Convolution>;

/// Channels of the five stages.
inline constexpr std::array<std::int64_t, 5> kSegNetChannels = {64, 128, 256, 512, 512};

/// The encoder and the decoder of a SegNet, a pool behind each stage on the way down and an unpool by its indices in
/// front of the same stage on the way up. Badrinarayanan et al. 2017, in the form of Liu et al. 2019; tensor names of
/// https://github.com/lorenmt/mtan, im2im_pred/model_segnet_split.py: a stage is the block that changes the number of
/// channels and one that keeps it.
struct SegNet {
  std::array<Chain, 5> encoder_block, conv_block_enc;  ///< at 1/2^i
  std::array<Chain, 5> decoder_block, conv_block_dec;  ///< at 1/2^i
};

/// \param num_tasks  whose losses reach it
[[nodiscard]] SegNet segnet(std::int64_t num_tasks);

/// One head a task at full size: a 3x3 and a 1x1 convolution, nothing between them. "pred_task" for a single task, else
/// "pred_task1" and so on.
[[nodiscard]] std::vector<Chain> segnet_heads(const Choice& choice, Init init);

/// SegNet and a head a task: One Task with a single one, Split (standard) with more.
[[nodiscard]] Chain segnet_convolutions(const Choice& choice);
[[nodiscard]] std::vector<std::string> segnet_unread(const Choice& choice);

/// Appends all layers of one or several chains.
void append(Chain& all, const Chain& chain);
void append(Chain& all, const std::array<Chain, 5>& chains);
void append(Chain& all, const std::vector<Chain>& chains);

/// A convolution and its norm as PyTorch's Sequential numbers them: PREFIX.N and PREFIX.(N + 1).
struct InSequence {
  std::string prefix;
  int index = 0;
  std::int64_t kernel = 3;
  std::int64_t shrunk = 1;
  std::int64_t reached_by = 1;
  std::int64_t uses = 1;
  Part part = Part::encoder;
  Init init = Init::xavier_normal;
};
[[nodiscard]] Convolution convolution_and_norm(const InSequence& place, std::int64_t in, std::int64_t out);

}  // namespace xtasc::net
