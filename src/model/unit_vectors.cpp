#include "model/unit_vectors.hpp"

#include <ATen/ATen.h>

#include "task/task.hpp"

namespace xtasc::model {

at::Tensor unit_vectors(const at::Tensor& vectors_nchw) {
  return vectors_nchw / at::linalg_vector_norm(vectors_nchw, 2, {1}, /*keepdim=*/true).clamp_min(task::kMinLength);
}

}  // namespace xtasc::model
