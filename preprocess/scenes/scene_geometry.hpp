#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace xtasc::preprocess {

/// A point, direction or linear colour; metres in a world with x to the right, y into the room and z up.
struct Vec3 {
  double x = 0, y = 0, z = 0;

  Vec3 operator+(const Vec3& o) const { return {x + o.x, y + o.y, z + o.z}; }
  Vec3 operator-(const Vec3& o) const { return {x - o.x, y - o.y, z - o.z}; }
  Vec3 operator-() const { return {-x, -y, -z}; }
  Vec3 operator*(double s) const { return {x * s, y * s, z * s}; }
  Vec3 operator*(const Vec3& o) const { return {x * o.x, y * o.y, z * o.z}; }
};

[[nodiscard]] inline double dot(const Vec3& a, const Vec3& b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
[[nodiscard]] inline double length(const Vec3& a) {
  return std::sqrt(dot(a, a));
}
[[nodiscard]] inline Vec3 normalized(const Vec3& a) {
  return a * (1.0 / length(a));
}
[[nodiscard]] inline Vec3 mix(const Vec3& a, const Vec3& b, double t) {
  return a + (b - a) * t;
}

/// Three orthonormal axes.
struct Frame {
  Vec3 x{1, 0, 0}, y{0, 1, 0}, z{0, 0, 1};

  [[nodiscard]] Vec3 to_local(const Vec3& v) const { return {dot(v, x), dot(v, y), dot(v, z)}; }
  [[nodiscard]] Vec3 to_world(const Vec3& v) const { return x * v.x + y * v.y + z * v.z; }
};

struct Ray {
  Vec3 origin, direction;  ///< the direction need not have unit length

  [[nodiscard]] Vec3 at(double t) const { return origin + direction * t; }
};

/// A pinhole camera: axes.x right, axes.y forward, axes.z up.
struct Camera {
  Vec3 position;
  Frame axes;
  double tan_half_view = 0.6;  ///< half of sqrt(height * width), on an image plane 1 m in front

  /// The ray through (row, column) in pixels, pixel centres at + 0.5. Its parameter t is the depth along the optical
  /// axis, since the direction has a forward component of 1.
  [[nodiscard]] Ray ray(double row, double column, std::int64_t height, std::int64_t width) const;
};

/// Labels of the generated scenes; the values are what packs hold.
enum class SceneClass : std::uint8_t { floor, wall, ceiling, box, sphere, cylinder, table };

enum class Shape { box, sphere, cylinder };

/// A convex body. Box: half-extents along its axes. Sphere: half.x is the radius. Cylinder: radius half.x, axis
/// frame.z, half its height half.z.
struct Solid {
  Shape shape = Shape::box;
  SceneClass label = SceneClass::box;
  Vec3 centre;
  Frame frame;
  Vec3 half;
  std::size_t material = 0;
  double bound_squared = 0;  ///< of the bounding sphere's radius; set_bound() fills it

  void set_bound();
};

/// A painted rectangle on a wall (door, picture, window); it has the label of the wall.
struct Panel {
  int face = 0;                           ///< of the room, 0 .. 3
  double u0 = 0, u1 = 0, v0 = 0, v1 = 0;  ///< along the wall and up, metres
  std::size_t material = 0;
};

/// Everything that a ray can meet. The room is the box (0, 0, 0) .. room_size, seen from inside.
struct Geometry {
  Vec3 room_size;
  /// Materials of the room's faces: x = 0, x = max, y = 0, y = max, z = 0 (floor), z = max (ceiling).
  std::array<std::size_t, 6> room_material{};
  std::vector<Solid> solids;
  std::vector<Panel> panels;
};

/// Where a ray ends: surface 0 .. 5 is a face of the room, 6 + i is solids[i].
struct Hit {
  double t = std::numeric_limits<double>::infinity();
  std::size_t surface = 0;
};

/// What shading wants to know about the end of a ray.
struct SurfacePoint {
  Vec3 position, normal;              ///< world
  Vec3 local_position, local_normal;  ///< in the body's own axes, so that its texture turns with it
  std::size_t material = 0;
};

/// The first surface along a ray that starts inside the room.
[[nodiscard]] Hit first_hit(const Geometry& geometry, const Ray& ray);
[[nodiscard]] SceneClass label_of(const Geometry& geometry, const Hit& hit);
[[nodiscard]] SurfacePoint describe(const Geometry& geometry, const Ray& ray, const Hit& hit);

/// Whether a solid lies on the straight line between two points of the room.
[[nodiscard]] bool is_blocked(const Geometry& geometry, const Vec3& from, const Vec3& to);

}  // namespace xtasc::preprocess
