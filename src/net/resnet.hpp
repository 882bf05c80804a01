#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/enums.hpp"
#include "net/layers.hpp"

namespace xtasc::net {

/// The convolutional part of torchvision's ResNet, with its tensor names. A new size is a row in resnet.cpp.
/// Source: He et al. 2016; https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py for the names.
struct ResNet {
  struct Block {
    std::vector<Convolution> convolutions;  ///< two 3x3, or 1x1, 3x3, 1x1
    std::optional<Convolution> downsample;  ///< 1x1 on the shortcut
  };

  Convolution stem;
  std::array<std::vector<Block>, 4> stages;

  /// Of layer0 (the stem, at 1/2) .. layer4 (at 1/32).
  [[nodiscard]] std::array<std::int64_t, 5> channels() const;
  void append_to(std::vector<Convolution>& all) const;
};

/// \param prefix  of all names \param num_tasks  that share it
[[nodiscard]] ResNet resnet(const std::string& prefix, config::Encoder encoder, std::int64_t num_tasks);

}  // namespace xtasc::net
