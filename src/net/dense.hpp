#pragma once

#include "net/cross_stitch.hpp"

namespace xtasc::net {

/// A SegNet that all tasks share and one a task, each of whose blocks reads the shared net's map beside its own: the
/// baseline "Dense" of Liu et al. 2019, arXiv:1803.10704; tensor names of https://github.com/lorenmt/mtan,
/// im2im_pred/model_segnet_dense.py. Its shared decoder has no block at full size: nothing would read it.
struct Dense {
  Blocks shared;  ///< decoder[0] is empty
  std::vector<Blocks> of_tasks;
  std::vector<Chain> heads;
};

[[nodiscard]] Dense dense(const Choice& choice);

[[nodiscard]] Chain dense_convolutions(const Choice& choice);
[[nodiscard]] std::vector<std::string> dense_unread(const Choice& choice);

}  // namespace xtasc::net
