#include "preprocess/normals.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/multiversion.hpp"
#include "pack/schema.hpp"

namespace xtasc::preprocess {

namespace {

constexpr std::array<std::int64_t, 9> kOffsets = {-9, -6, -3, -1, 0, 1, 3, 6, 9};
constexpr std::int64_t kReach = 9;
constexpr float kDepthTolerance = 0.05F;
constexpr float kFewestPoints = 3.0F;

/// Pixels of a row that are worked on at once: a register of AVX2, or of processors whose registers hold 16 bytes.
#ifdef __x86_64__
constexpr std::int64_t kLanes = 8;
#else
constexpr std::int64_t kLanes = 4;
#endif
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using Mask = std::int32_t __attribute__((vector_size(kLanes * sizeof(float))));

/// A depth map with a border of invalid pixels, so that no offset leads out of it, and the rays of its pixels.
struct Points {
  std::int64_t stride = 0;
  std::vector<float> depth;  ///< (height + 2 kReach) x stride
  std::vector<float> u, v;   ///< a point is depth * (u, v, 1); by padded column and row
};

Points padded(std::span<const float> depth, Size size, const Pinhole& camera) {
  Points points;
  points.stride = size.width + 2 * kReach + kLanes;
  points.depth.assign(static_cast<std::size_t>((size.height + 2 * kReach) * points.stride), 0.0F);
  for (std::int64_t row = 0; row < size.height; ++row) {
    std::copy_n(depth.begin() + row * size.width, size.width,
                points.depth.begin() + (row + kReach) * points.stride + kReach);
  }
  for (std::int64_t column = 0; column < points.stride; ++column) {
    points.u.push_back(static_cast<float>((static_cast<double>(column - kReach) - camera.cx) / camera.fx));
  }
  for (std::int64_t row = 0; row < size.height + 2 * kReach; ++row) {
    points.v.push_back(static_cast<float>((static_cast<double>(row - kReach) - camera.cy) / camera.fy));
  }
  return points;
}

/// A symmetric 3 x 3 matrix a lane.
struct Matrix {
  Lanes xx, xy, xz, yy, yz, zz;
};

XTASC_INLINE void load(const float* from, Lanes& to) {
  std::memcpy(&to, from, sizeof to);
}

/// Its adjugate, whose largest eigenvector is the smallest one of `m`.
XTASC_INLINE void adjugate(const Matrix& m, Matrix& out) {
  out.xx = m.yy * m.zz - m.yz * m.yz;
  out.xy = m.xz * m.yz - m.xy * m.zz;
  out.xz = m.xy * m.yz - m.xz * m.yy;
  out.yy = m.xx * m.zz - m.xz * m.xz;
  out.yz = m.xy * m.xz - m.xx * m.yz;
  out.zz = m.xx * m.yy - m.xy * m.xy;
}

/// m = m / trace(m), where the trace is positive.
XTASC_INLINE void normalise(Matrix& m) {
  const Lanes trace = m.xx + m.yy + m.zz;
  const Lanes scale = 1.0F / (trace > 0.0F ? trace : trace + 1.0F);
  m = {m.xx * scale, m.xy * scale, m.xz * scale, m.yy * scale, m.yz * scale, m.zz * scale};
}

XTASC_INLINE void square(Matrix& m) {
  m = {m.xx * m.xx + m.xy * m.xy + m.xz * m.xz, m.xx * m.xy + m.xy * m.yy + m.xz * m.yz,
       m.xx * m.xz + m.xy * m.yz + m.xz * m.zz, m.xy * m.xy + m.yy * m.yy + m.yz * m.yz,
       m.xy * m.xz + m.yy * m.yz + m.yz * m.zz, m.xz * m.xz + m.yz * m.yz + m.zz * m.zz};
}

/// The normals of kLanes pixels from (row, column) on, in the map without its border, as x, y, z.
XTASC_INLINE void fit(const Points& points, std::int64_t row, std::int64_t column, std::array<Lanes, 3>& normal) {
  const std::int64_t centre = (row + kReach) * points.stride + column + kReach;
  Lanes z0, u0;
  load(&points.depth[static_cast<std::size_t>(centre)], z0);
  load(&points.u[static_cast<std::size_t>(column + kReach)], u0);
  const Lanes x0 = z0 * u0;
  const Lanes y0 = z0 * points.v[static_cast<std::size_t>(row + kReach)];
  const Lanes nearest = z0 * (1.0F - kDepthTolerance), farthest = z0 * (1.0F + kDepthTolerance);
  Lanes count{}, x{}, y{}, z{};
  Matrix m{};
  for (const std::int64_t dy : kOffsets) {
    const float v = points.v[static_cast<std::size_t>(row + kReach + dy)];
    for (const std::int64_t dx : kOffsets) {
      Lanes depth, u;
      load(&points.depth[static_cast<std::size_t>(centre + dy * points.stride + dx)], depth);
      load(&points.u[static_cast<std::size_t>(column + kReach + dx)], u);
      const Mask is_near = (depth > nearest) & (depth < farthest);  // never where the centre is invalid
      const Lanes none{};
      // Relative to the centre, so that the sums below lose nothing.
      const Lanes px = is_near ? depth * u - x0 : none;
      const Lanes py = is_near ? depth * v - y0 : none;
      const Lanes pz = is_near ? depth - z0 : none;
      count += is_near ? none + 1.0F : none;
      x += px;
      y += py;
      z += pz;
      m.xx += px * px;
      m.xy += px * py;
      m.xz += px * pz;
      m.yy += py * py;
      m.yz += py * pz;
      m.zz += pz * pz;
    }
  }
  const Lanes share = 1.0F / (count > 0.0F ? count : count + 1.0F);
  m = {m.xx - x * x * share, m.xy - x * y * share, m.xz - x * z * share,
       m.yy - y * y * share, m.yz - y * z * share, m.zz - z * z * share};
  normalise(m);
  Matrix power;
  adjugate(m, power);
  // Points on a line, up to rounding, have no plane.
  constexpr float kLine = 1e-6F;
  const Mask has_plane = (count >= kFewestPoints) & (power.xx + power.yy + power.zz > kLine);
  constexpr int kSquarings = 6;  // the 64th power: nothing is left of the other eigenvectors
  normalise(power);
  for (int i = 0; i < kSquarings; ++i) {
    square(power);
    normalise(power);
  }
  // The longest column of n n^T.
  const Mask is_x = (power.xx >= power.yy) & (power.xx >= power.zz), is_y = power.yy >= power.zz;
  normal[0] = is_x ? power.xx : is_y ? power.xy : power.xz;
  normal[1] = is_x ? power.xy : is_y ? power.yy : power.yz;
  normal[2] = is_x ? power.xz : is_y ? power.yz : power.zz;
  const Lanes along_ray = normal[0] * x0 + normal[1] * y0 + normal[2] * z0;
  const Lanes zero{};
  for (Lanes& component : normal) {
    component = has_plane ? (along_ray > 0.0F ? -component : component) : zero;
  }
}

XTASC_MULTIVERSION void fit_row(const Points& points, std::int64_t row, std::int64_t width, float* out_3w) {
  for (std::int64_t column = 0; column < width; column += kLanes) {
    std::array<Lanes, 3> normal;
    fit(points, row, column, normal);
    const std::int64_t count = std::min(kLanes, width - column);
    for (std::size_t c = 0; c < 3; ++c) {
      std::memcpy(out_3w + static_cast<std::int64_t>(c) * width + column, &normal[c],
                  static_cast<std::size_t>(count) * sizeof(float));
    }
  }
}

}  // namespace

std::optional<AxisSigns> axis_signs(std::string_view words) {
  constexpr std::array<std::array<std::string_view, 2>, 3> kWords = {
      {{"right", "left"}, {"down", "up"}, {"in", "out"}}};
  AxisSigns signs{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::string_view word = words.substr(0, words.find(','));
    if (word != kWords[axis][0] && word != kWords[axis][1]) {
      return std::nullopt;
    }
    signs[axis] = word == kWords[axis][0] ? 1.0 : -1.0;
    words.remove_prefix(word.size());
    if (words.empty() != (axis == 2)) {
      return std::nullopt;
    }
    words.remove_prefix(axis == 2 ? 0 : 1);
  }
  return signs;
}

void store_normal(double x, double y, double z, std::int16_t* out) {
  const double length = std::sqrt(x * x + y * y + z * z);
  const double scale = length > 0.0 ? pack::kNormalScale / length : 0.0;
  const auto stored = [scale](double component) {
    return static_cast<std::int16_t>(component * scale + (component < 0.0 ? -0.5 : 0.5));  // away from 0, as lround
  };
  out[0] = stored(x);
  out[1] = stored(y);
  out[2] = stored(z);
}

std::vector<std::int16_t> normals_from_depth(std::span<const float> depth, Size size, const Pinhole& camera) {
  const Points points = padded(depth, size, camera);
  std::vector<std::int16_t> normals(3 * depth.size());
  const auto width = static_cast<std::size_t>(size.width);
  std::vector<float> row_3w(3 * width);
  std::int16_t* out = normals.data();
  for (std::int64_t row = 0; row < size.height; ++row) {
    fit_row(points, row, size.width, row_3w.data());
    for (std::size_t column = 0; column < width; ++column, out += 3) {
      store_normal(double{row_3w[column]}, double{row_3w[width + column]}, double{row_3w[2 * width + column]}, out);
    }
  }
  return normals;
}

}  // namespace xtasc::preprocess
