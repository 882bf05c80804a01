#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "net/networks.hpp"
#include "net/resnet.hpp"

namespace xtasc::net {

/// From the encoder's features to one prediction at full size: five blocks of three convolutions and an upsample, each
/// after the first joined with a skip, and a 1x1 head. Source: Nakano et al. 2021, section III-C.
struct Decoder {
  std::array<std::array<Convolution, 3>, 5> blocks;
  Convolution head;
};

/// Predicts one task from the other's prediction: three pairs of convolutions on the way down, each with a max-pool
/// behind, three on the way up, each with an upsample in front, and a 1x1 head. Source: Nakano et al. 2021, section
/// III-C.
struct TransferNet {
  std::size_t from = 0, to = 0;  ///< of the tasks
  std::array<std::array<Convolution, 2>, 3> down, up;
  Convolution head;
};

/// XTasC-Net and, without its transfer nets, the paper's other systems.
struct Xtasc {
  ResNet encoder;
  std::vector<Decoder> decoders;  ///< one a task
  std::vector<TransferNet> transfer_nets;
};

[[nodiscard]] Xtasc xtasc(const Choice& choice);

/// From which task to which, by their places, model.transfer and model.transfer_pairs have a net; by the first one,
/// then by the second.
[[nodiscard]] std::vector<std::pair<std::size_t, std::size_t>> transfers_of(const Choice& choice);

/// Every convolution, in the order of the tensors.
[[nodiscard]] std::vector<Convolution> xtasc_convolutions(const Choice& choice);

}  // namespace xtasc::net
