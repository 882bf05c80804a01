#pragma once

#include <vector>

#include "net/resnet.hpp"
#include "net/segnet.hpp"

namespace xtasc::net {

/// A ResNet that keeps 1/8 of the image, and a head a task that reads its maps at several distances at once: the net of
/// LibMTL's benchmarks (https://github.com/median-research-group/LibMTL, its HPS architecture: resnet_dilated.py and
/// the examples' aspp.py), whose tensor names these are. Heads: Chen et al. 2017, arXiv:1706.05587, section 3.3.
struct Deeplab {
  struct Head {
    std::vector<Chain> branches;  ///< 1x1; 3x3 at distances of 12, 24 and 36; 1x1 of the mean over the map
    Chain project;                ///< 1x1 of all of them, a dropout behind
    Chain last;                   ///< 3x3, then 1x1 with a bias
  };

  ResNet encoder;
  std::vector<Head> heads;  ///< one a task, all at 1/8
};

[[nodiscard]] Deeplab deeplab(const Choice& choice);

[[nodiscard]] Chain deeplab_convolutions(const Choice& choice);

}  // namespace xtasc::net
