#pragma once

#include <ATen/core/Tensor.h>

namespace xtasc::weighting {

struct Eigen {
  at::Tensor values_t;    ///< (T), in no order
  at::Tensor vectors_tt;  ///< (T, T): column i belongs to value i; orthonormal
};

/// Of a small symmetric matrix, by Jacobi's rotations: a fixed number of them, so that nothing waits for the device.
/// \param matrix_tt  (T, T) float64, T up to about 10
[[nodiscard]] Eigen eigen_of_symmetric(const at::Tensor& matrix_tt);

}  // namespace xtasc::weighting
