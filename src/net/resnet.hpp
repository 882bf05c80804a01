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

  /// Of layer0 (the stem, at 1/2) .. layer4 (at 1/32; Deep::dilated: 1/8).
  [[nodiscard]] std::array<std::int64_t, 5> channels() const;
  void append_to(std::vector<Convolution>& all) const;
};

/// What layer3 and layer4 do: make the maps smaller; or keep 1/8 of the image and read at twice the distance instead, a
/// block's 3x3 convolutions behind the stage's first at 2 and 4, and that one, which would have had the stride, at half
/// as much (Yu et al. 2017, arXiv:1705.09914, without its further layers).
enum class Deep { strided, dilated };

/// \param prefix  of all names \param num_tasks  that share it
[[nodiscard]] ResNet resnet(const std::string& prefix, config::Encoder encoder, std::int64_t num_tasks,
                            Deep deep = Deep::strided);

}  // namespace xtasc::net
