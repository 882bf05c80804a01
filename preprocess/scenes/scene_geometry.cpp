#include "preprocess/scenes/scene_geometry.hpp"

#include <algorithm>
#include <utility>

namespace xtasc::preprocess {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();
constexpr std::size_t kRoomFaces = 6;

/// Where a line enters and leaves a body; empty when enter > leave.
struct Span {
  double enter = kNone, leave = -kNone;
};

Span slab(double origin, double direction, double half) {
  if (direction == 0) {
    return std::abs(origin) <= half ? Span{-kNone, kNone} : Span{};
  }
  const double inverse = 1.0 / direction;
  const double a = (-half - origin) * inverse;
  const double b = (half - origin) * inverse;
  return a < b ? Span{a, b} : Span{b, a};
}

Span overlap(const Span& a, const Span& b) {
  return {std::max(a.enter, b.enter), std::min(a.leave, b.leave)};
}

/// a t^2 + 2 b t + c <= 0
Span quadratic(double a, double b, double c) {
  if (a == 0) {
    return c <= 0 ? Span{-kNone, kNone} : Span{};
  }
  const double discriminant = b * b - a * c;
  if (discriminant < 0) {
    return {};
  }
  const double root = std::sqrt(discriminant);
  return {(-b - root) / a, (-b + root) / a};
}

/// The ray's parameter where it enters the solid from outside, or infinity.
double entry(const Solid& solid, const Ray& ray) {
  const Vec3 offset = ray.origin - solid.centre;
  const double a = dot(ray.direction, ray.direction);
  const double b = dot(offset, ray.direction);
  const double c = dot(offset, offset) - solid.bound_squared;
  if (b * b < a * c || (b > 0 && c > 0)) {
    return kNone;
  }
  Span span;
  if (solid.shape == Shape::sphere) {
    span = quadratic(a, b, c);
  } else {
    const Vec3 o = solid.frame.to_local(offset);
    const Vec3 d = solid.frame.to_local(ray.direction);
    const Span vertical = slab(o.z, d.z, solid.half.z);
    if (solid.shape == Shape::cylinder) {
      const double radius = solid.half.x;
      span = overlap(vertical,
                     quadratic(d.x * d.x + d.y * d.y, o.x * d.x + o.y * d.y, o.x * o.x + o.y * o.y - radius * radius));
    } else {
      span = overlap(vertical, overlap(slab(o.x, d.x, solid.half.x), slab(o.y, d.y, solid.half.y)));
    }
  }
  return span.enter <= span.leave && span.enter > 0 ? span.enter : kNone;
}

void meet_face(Hit& hit, double origin, double direction, double size, std::size_t axis) {
  if (direction == 0) {
    return;
  }
  const bool is_far = direction > 0;
  const double t = ((is_far ? size : 0.0) - origin) / direction;
  if (t < hit.t) {
    hit = {t, 2 * axis + (is_far ? 1 : 0)};
  }
}

/// The axis along which a box's surface point sticks out most, as a signed unit vector.
Vec3 box_normal(const Vec3& p, const Vec3& half) {
  const double x = std::abs(p.x) - half.x;
  const double y = std::abs(p.y) - half.y;
  const double z = std::abs(p.z) - half.z;
  if (x >= y && x >= z) {
    return {p.x < 0 ? -1.0 : 1.0, 0, 0};
  }
  return y >= z ? Vec3{0, p.y < 0 ? -1.0 : 1.0, 0} : Vec3{0, 0, p.z < 0 ? -1.0 : 1.0};
}

Vec3 local_normal(const Solid& solid, const Vec3& p) {
  switch (solid.shape) {
    case Shape::box:
      return box_normal(p, solid.half);
    case Shape::sphere:
      return normalized(p);
    case Shape::cylinder: {
      const double radial = std::sqrt(p.x * p.x + p.y * p.y) - solid.half.x;
      if (radial > std::abs(p.z) - solid.half.z) {
        return normalized({p.x, p.y, 0});
      }
      return {0, 0, p.z < 0 ? -1.0 : 1.0};
    }
  }
  return {};
}

}  // namespace

Ray Camera::ray(double row, double column, std::int64_t height, std::int64_t width) const {
  const double h = static_cast<double>(height);
  const double w = static_cast<double>(width);
  const double step = 2.0 * tan_half_view / std::sqrt(h * w);
  const Vec3 on_plane = axes.x * ((column - w / 2) * step) + axes.z * ((h / 2 - row) * step);
  return {position, axes.y + on_plane};
}

void Solid::set_bound() {
  switch (shape) {
    case Shape::box:
      bound_squared = dot(half, half);
      return;
    case Shape::sphere:
      bound_squared = half.x * half.x;
      return;
    case Shape::cylinder:
      bound_squared = half.x * half.x + half.z * half.z;
      return;
  }
}

Hit first_hit(const Geometry& geometry, const Ray& ray) {
  Hit hit;
  meet_face(hit, ray.origin.x, ray.direction.x, geometry.room_size.x, 0);
  meet_face(hit, ray.origin.y, ray.direction.y, geometry.room_size.y, 1);
  meet_face(hit, ray.origin.z, ray.direction.z, geometry.room_size.z, 2);
  for (std::size_t i = 0; i < geometry.solids.size(); ++i) {
    const double t = entry(geometry.solids[i], ray);
    if (t < hit.t) {
      hit = {t, kRoomFaces + i};
    }
  }
  return hit;
}

SceneClass label_of(const Geometry& geometry, const Hit& hit) {
  if (hit.surface >= kRoomFaces) {
    return geometry.solids[hit.surface - kRoomFaces].label;
  }
  if (hit.surface == 4) {
    return SceneClass::floor;
  }
  return hit.surface == 5 ? SceneClass::ceiling : SceneClass::wall;
}

SurfacePoint describe(const Geometry& geometry, const Ray& ray, const Hit& hit) {
  SurfacePoint point;
  point.position = ray.at(hit.t);
  if (hit.surface >= kRoomFaces) {
    const Solid& solid = geometry.solids[hit.surface - kRoomFaces];
    point.local_position = solid.frame.to_local(point.position - solid.centre);
    point.local_normal = local_normal(solid, point.local_position);
    point.normal = solid.frame.to_world(point.local_normal);
    point.material = solid.material;
    return point;
  }
  const std::size_t axis = hit.surface / 2;
  const double inward = hit.surface % 2 == 0 ? 1.0 : -1.0;
  point.normal = {axis == 0 ? inward : 0.0, axis == 1 ? inward : 0.0, axis == 2 ? inward : 0.0};
  point.local_normal = point.normal;
  point.local_position = point.position;
  point.material = geometry.room_material[hit.surface];
  const double along = axis == 0 ? point.position.y : point.position.x;
  for (const Panel& panel : geometry.panels) {
    if (static_cast<std::size_t>(panel.face) == hit.surface && along > panel.u0 && along < panel.u1 &&
        point.position.z > panel.v0 && point.position.z < panel.v1) {
      point.material = panel.material;
    }
  }
  return point;
}

bool is_blocked(const Geometry& geometry, const Vec3& from, const Vec3& to) {
  const Ray ray{from, to - from};
  return std::any_of(geometry.solids.begin(), geometry.solids.end(),
                     [&](const Solid& solid) { return entry(solid, ray) < 1.0; });
}

}  // namespace xtasc::preprocess
