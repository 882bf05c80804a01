#pragma once

#include <array>
#include <string>
#include <vector>

#include "net/segnet.hpp"

namespace xtasc::net {

/// An encoder each of whose blocks reads all earlier ones, and a decoder a task whose blocks scale what they give by
/// learned factors, one for each channel and pixel: so the image's size decides the network.
/// Jha et al. 2020, "AdaMT-Net", in the form of the 2021 code (its model/adamtnet/models.py), whose tensor names these
/// are.
struct Adamt {
  static constexpr std::size_t kNumBlocks = 4;
  struct Decoder {
    struct Block {
      std::string factors;  ///< "decoder_depth.dec_block1.W": (slots, width, H, W) of the block's output
      std::int64_t shrunk = 1;
      std::array<Convolution, 2> layers;  ///< 3x3, norm, sigmoid, of so many channels as factors; gives twice as many
    };
    std::array<Block, kNumBlocks> blocks;  ///< from 1/8 to full size; the first layer reads [twice as large | skip]
    Convolution last;                      ///< 1x1, no bias
  };

  std::array<Chain, kNumBlocks> blocks;  ///< of the encoder, at 1/2^i, each of two convolutions
  Convolution bottleneck;                ///< 1x1, at 1/16
  std::vector<Decoder> decoders;         ///< one a task
};

/// Channels that the encoder's blocks, and one layer of the decoders' blocks, give.
inline constexpr std::array<std::int64_t, Adamt::kNumBlocks> kAdamtEncoder = {64, 128, 256, 512};
inline constexpr std::array<std::int64_t, Adamt::kNumBlocks> kAdamtDecoder = {256, 128, 64, 32};

[[nodiscard]] Adamt adamt(const Choice& choice);

[[nodiscard]] Chain adamt_convolutions(const Choice& choice);
/// The tensor whose last two sides are the image's, and whose first is the number of slots.
[[nodiscard]] std::string adamt_sized_by(const Choice& choice);

}  // namespace xtasc::net
