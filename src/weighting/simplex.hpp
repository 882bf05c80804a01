#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

// Smallest values on the simplex { x : x_t >= 0, sum_t x_t = 1 }, exactly and without an iteration: a convex function
// is smallest inside one of its faces, so all faces are solved at once, as one batch of small linear systems, and the
// best of their solutions is taken. The same operations at every call, none of which waits for the device.
namespace xtasc::weighting {

/// As many as the faces, 2^T - 1, allow.
constexpr std::int64_t kMaxSimplexTasks = 10;

/// x (T) float64 where x^T M x is smallest, among those that have 0 where M_tt is. \param matrix_tt  (T, T) float64,
/// positive semidefinite \throws Error for more than kMaxSimplexTasks
[[nodiscard]] at::Tensor smallest_quadratic(const at::Tensor& matrix_tt);

/// x (T) float64 where h^T x + k sqrt(x^T M x) is smallest. \param matrix_tt  (T, T) float64, positive semidefinite
/// \param linear_t  (T), h \param k  0-D, >= 0 \throws Error for more than kMaxSimplexTasks
[[nodiscard]] at::Tensor smallest_linear_plus_norm(const at::Tensor& matrix_tt, const at::Tensor& linear_t,
                                                   const at::Tensor& k);

/// v (T) float64 where v^T M v is smallest of all v with v_t >= 1 for one task and v_s >= 0 for the others: found as
/// above, by the faces of what binds. \param matrix_tt  (T, T) float64, positive semidefinite
/// \throws Error for more than kMaxSimplexTasks
[[nodiscard]] at::Tensor smallest_quadratic_above(const at::Tensor& matrix_tt, std::int64_t task);

/// The x of the simplex that is nearest to y. \param y_t  (T)
[[nodiscard]] at::Tensor nearest_of_simplex(const at::Tensor& y_t);

}  // namespace xtasc::weighting
