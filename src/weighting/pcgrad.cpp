#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

at::Tensor pcgrad_factors(const Gram& gram) {
  constexpr double kTiny = 1e-300;  // a conflict needs two gradients that are not zero: this guards 0 / 0 only
  const at::Tensor conflict = gram.seg_depth.clamp_max(0.0);
  return 1.0 - conflict / at::stack({gram.seg_seg, gram.depth_depth}).clamp_min(kTiny);
}

}  // namespace xtasc::weighting
