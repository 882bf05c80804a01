#include "weighting/symmetric.hpp"

#include <ATen/ATen.h>

namespace xtasc::weighting {

namespace {

constexpr int kSweeps = 10;  // convergence is quadratic: 5 or 6 do for 10 tasks

/// Columns p and q of a matrix, turned by an angle, where they lie.
void turn_columns(const at::Tensor& matrix, std::int64_t p, std::int64_t q, const at::Tensor& cosine,
                  const at::Tensor& sine) {
  const at::Tensor first = matrix.select(1, p).clone();
  const at::Tensor second = matrix.select(1, q).clone();
  matrix.select(1, p).copy_(cosine * first - sine * second);
  matrix.select(1, q).copy_(sine * first + cosine * second);
}

}  // namespace

Eigen eigen_of_symmetric(const at::Tensor& matrix_tt) {
  const at::Tensor matrix = matrix_tt.clone();
  const at::Tensor vectors = at::eye(matrix.size(0), matrix.options());
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::int64_t p = 0; p + 1 < matrix.size(0); ++p) {
      for (std::int64_t q = p + 1; q < matrix.size(0); ++q) {
        const at::Tensor off = matrix[p][q];
        const at::Tensor ratio = 2.0 * off / (matrix[q][q] - matrix[p][p]);
        const at::Tensor angle = at::where(off == 0.0, at::zeros_like(off), 0.5 * ratio.atan());
        const at::Tensor cosine = angle.cos();
        const at::Tensor sine = angle.sin();
        turn_columns(matrix, p, q, cosine, sine);
        turn_columns(matrix.t(), p, q, cosine, sine);
        turn_columns(vectors, p, q, cosine, sine);
      }
    }
  }
  return {matrix.diagonal(), vectors};
}

}  // namespace xtasc::weighting
