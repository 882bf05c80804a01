#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

at::Tensor imtl_g_factors(const Gram& gram) {
  const at::Tensor norms = at::stack({gram.seg_seg, gram.depth_depth}).sqrt();
  const at::Tensor sum = norms.sum();
  return at::where(sum > 0.0, at::stack({norms[kDepth], norms[kSegmentation]}) / sum, at::full_like(norms, 0.5));
}

}  // namespace xtasc::weighting
