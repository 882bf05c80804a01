#include "weighting/simplex.hpp"

#include <ATen/ATen.h>

#include "core/error.hpp"

namespace xtasc::weighting {

namespace {

/// (F, T) bool: which tasks span each face. Made of arithmetic, which no copy from the host has to wait for.
at::Tensor faces(std::int64_t num_tasks, at::Device device) {
  check(num_tasks >= 1 && num_tasks <= kMaxSimplexTasks, "a simplex of 1 to {} tasks is searched, found {}",
        kMaxSimplexTasks, num_tasks);
  const auto options = at::TensorOptions().dtype(at::kLong).device(device);
  const at::Tensor face = at::arange(1, std::int64_t{1} << num_tasks, options).unsqueeze(1);
  const at::Tensor task = at::arange(num_tasks, options).unsqueeze(0);
  return at::bitwise_and(at::bitwise_right_shift(face, task), 1) == 1;
}

/// (F, T): M restricted to each face, solved for `right`; zeros outside of the face.
at::Tensor solved_on(const at::Tensor& on_face_ft, const at::Tensor& matrix_tt, const at::Tensor& right_t) {
  const at::Tensor both = on_face_ft.unsqueeze(2).logical_and(on_face_ft.unsqueeze(1));
  const at::Tensor identity = at::eye(matrix_tt.size(0), matrix_tt.options());
  const at::Tensor restricted = at::where(both, matrix_tt, identity);
  const at::Tensor right_ft = at::where(on_face_ft, right_t, at::zeros({}, matrix_tt.options()));
  return std::get<0>(at::linalg_solve_ex(restricted, right_ft.unsqueeze(2))).squeeze(2);
}

/// The row of `candidates_ft` that lies in the simplex and has the smallest value. A face without a point of its own
/// (a singular system, a point outside) says NaN or lies outside; corners are always there.
at::Tensor best_of(const at::Tensor& candidates_ft, const at::Tensor& values_f) {
  constexpr double kOutside = -1e-12;
  const at::Tensor is_inside = at::isfinite(candidates_ft).all(1).logical_and((candidates_ft >= kOutside).all(1));
  const at::Tensor infinity = at::full({}, std::numeric_limits<double>::infinity(), values_f.options());
  const at::Tensor counted = at::where(is_inside.logical_and(at::isfinite(values_f)), values_f, infinity);
  const at::Tensor best = candidates_ft.index_select(0, counted.argmin(0, /*keepdim=*/true)).squeeze(0).clamp_min(0.0);
  return best / best.sum();
}

/// Corners are what they are, whatever a division made of them.
at::Tensor with_corners(const at::Tensor& candidates_ft, const at::Tensor& on_face_ft) {
  const at::Tensor is_corner = on_face_ft.sum(1, /*keepdim=*/true) == 1;
  return at::where(is_corner, on_face_ft.to(candidates_ft.scalar_type()), candidates_ft);
}

at::Tensor quadratic_at(const at::Tensor& matrix_tt, const at::Tensor& x_ft) {
  return (at::matmul(x_ft, matrix_tt) * x_ft).sum(1);
}

/// (F, T): where x^T M x is smallest on each face's plane, from M x = n 1 and 1^T x = 1: a system that has a solution
/// also where M has none, as of two gradients that oppose each other.
at::Tensor shortest_on(const at::Tensor& on_face_ft, const at::Tensor& matrix_tt) {
  const at::Tensor both = on_face_ft.unsqueeze(2).logical_and(on_face_ft.unsqueeze(1));
  const at::Tensor scale = matrix_tt.diagonal().max();
  const at::Tensor restricted = at::where(both, matrix_tt / scale, at::eye(matrix_tt.size(0), matrix_tt.options()));
  const at::Tensor border = on_face_ft.to(matrix_tt.scalar_type()).unsqueeze(2);
  const at::Tensor corner = at::zeros({on_face_ft.size(0), 1, 1}, matrix_tt.options());
  const at::Tensor system =
      at::cat({at::cat({restricted, border}, 2), at::cat({border.transpose(1, 2), corner}, 2)}, 1);
  at::Tensor right = at::zeros({on_face_ft.size(0), matrix_tt.size(0) + 1, 1}, matrix_tt.options());
  right.select(1, matrix_tt.size(0)).fill_(1.0);
  const at::Tensor solved = std::get<0>(at::linalg_solve_ex(system, right)).squeeze(2);
  return with_corners(solved.narrow(1, 0, matrix_tt.size(0)), on_face_ft);
}

}  // namespace

at::Tensor smallest_quadratic(const at::Tensor& matrix_tt) {
  const at::Tensor on_face = faces(matrix_tt.size(0), matrix_tt.device());
  const at::Tensor x = shortest_on(on_face, matrix_tt);
  const at::Tensor has_empty = on_face.logical_and(matrix_tt.diagonal() <= 0.0).any(1);
  const at::Tensor infinity = at::full({}, std::numeric_limits<double>::infinity(), matrix_tt.options());
  return best_of(x, at::where(has_empty, infinity, quadratic_at(matrix_tt, x)));
}

at::Tensor smallest_linear_plus_norm(const at::Tensor& matrix_tt, const at::Tensor& linear_t, const at::Tensor& k) {
  // On a face: M x = (r / k) (-n 1 - h) with r = sqrt(x^T M x) and a multiplier n. With u = M^-1 1 and v = M^-1 h,
  // sum x = 1 and x^T M x = r^2 give n s_u + s_v = -sqrt(s_v^2 - s_u (w - k^2)), where s_u = 1^T u, s_v = 1^T v and
  // w = h^T v. Where the norm is 0, and has no derivative, the point is the shortest of its face.
  const at::Tensor on_face = faces(matrix_tt.size(0), matrix_tt.device());
  const at::Tensor u = solved_on(on_face, matrix_tt, at::ones({}, matrix_tt.options()));
  const at::Tensor v = solved_on(on_face, matrix_tt, linear_t);
  const at::Tensor s_u = u.sum(1, /*keepdim=*/true);
  const at::Tensor s_v = v.sum(1, /*keepdim=*/true);
  const at::Tensor w = (linear_t * v).sum(1, /*keepdim=*/true);
  const at::Tensor root = (s_v * s_v - s_u * (w - k * k)).sqrt();
  const at::Tensor multiplier = -(root + s_v) / s_u;
  const at::Tensor x = at::cat({(-multiplier * u - v) / root, shortest_on(on_face, matrix_tt)});
  const at::Tensor values = at::matmul(x, linear_t) + k * quadratic_at(matrix_tt, x).clamp_min(0.0).sqrt();
  return best_of(x, values);
}

at::Tensor smallest_quadratic_above(const at::Tensor& matrix_tt, std::int64_t task) {
  // v_t = 1, and on a face of the others M v = 0: M_FF v_F = -M_Ft.
  const std::int64_t num_tasks = matrix_tt.size(0);
  const at::Tensor on_face = faces(num_tasks, matrix_tt.device());
  const at::Tensor scale = matrix_tt.diagonal().max();
  const at::Tensor matrix = at::where(scale > 0.0, matrix_tt / scale, matrix_tt);
  const at::Tensor bound = at::eye(num_tasks, matrix.options())[task];
  // A face with the task itself has only v = 0 for the others where it is solved: that is the face of none.
  const at::Tensor is_other = on_face.select(1, task).logical_not().unsqueeze(1);
  const at::Tensor moved = solved_on(on_face.logical_and(is_other), matrix, -matrix.select(1, task));
  const at::Tensor v = moved + bound;
  constexpr double kOutside = -1e-12;
  const at::Tensor is_inside = at::isfinite(v).all(1).logical_and((moved >= kOutside).all(1));
  const at::Tensor values = quadratic_at(matrix, v);
  const at::Tensor infinity = at::full({}, std::numeric_limits<double>::infinity(), values.options());
  const at::Tensor best = at::where(is_inside, values, infinity).argmin(0, /*keepdim=*/true);
  return v.index_select(0, best).squeeze(0).clamp_min(0.0);
}

at::Tensor nearest_of_simplex(const at::Tensor& y_t) {
  const at::Tensor sorted = std::get<0>(at::sort(y_t, 0, /*descending=*/true));
  const at::Tensor rank = at::arange(1, y_t.size(0) + 1, y_t.options());
  const at::Tensor excess = (sorted.cumsum(0) - 1.0) / rank;
  const at::Tensor is_above = sorted > excess;  // of the largest alone, then no more
  const at::Tensor last = is_above.sum().clamp_min(1) - 1;
  return (y_t - excess.index_select(0, last.unsqueeze(0))).clamp_min(0.0);
}

}  // namespace xtasc::weighting
