#include "preprocess/scenes/scene_texture.hpp"

#include <algorithm>
#include <cmath>

namespace xtasc::preprocess {
namespace {

std::int64_t floor_index(double v) {
  return static_cast<std::int64_t>(std::floor(v));
}

double smooth(double t) {
  return t * t * (3.0 - 2.0 * t);
}

double lerp(double a, double b, double t) {
  return a + (b - a) * t;
}

/// Smooth value noise in [0, 1), one feature a unit length.
double noise(std::uint64_t seed, const Vec3& p) {
  const std::int64_t i = floor_index(p.x);
  const std::int64_t j = floor_index(p.y);
  const std::int64_t k = floor_index(p.z);
  const double u = smooth(p.x - static_cast<double>(i));
  const double v = smooth(p.y - static_cast<double>(j));
  const double w = smooth(p.z - static_cast<double>(k));
  const auto edge = [&](std::int64_t y, std::int64_t z) {
    return lerp(hash_uniform(seed, i, y, z), hash_uniform(seed, i + 1, y, z), u);
  };
  return lerp(lerp(edge(j, k), edge(j + 1, k), v), lerp(edge(j, k + 1), edge(j + 1, k + 1), v), w);
}

double turbulence(std::uint64_t seed, const Vec3& p) {
  return 0.57 * noise(seed, p) + 0.29 * noise(seed + 1, p * 2.1) + 0.14 * noise(seed + 2, p * 4.3);
}

/// Coordinates along the face on which the point lies: across and up (or the two floor axes).
struct FacePoint {
  double across = 0, up = 0;
};

FacePoint on_face(const Vec3& p, const Vec3& normal) {
  const double x = std::abs(normal.x);
  const double y = std::abs(normal.y);
  const double z = std::abs(normal.z);
  if (z >= x && z >= y) {
    return {p.x, p.y};
  }
  return x >= y ? FacePoint{p.y, p.z} : FacePoint{p.x, p.z};
}

double checker(const Vec3& p) {
  return (floor_index(p.x) + floor_index(p.y) + floor_index(p.z)) % 2 == 0 ? 0.0 : 1.0;
}

double stripes(const Vec3& p) {
  const double s = p.z + 0.31 * p.x + 0.17 * p.y;
  return s - std::floor(s) < 0.45 ? 0.0 : 1.0;
}

/// Planks with a grain along their length, each a little different.
double planks(const Material& material, const FacePoint& p) {
  const double row = std::floor(p.across);
  const double shift = hash_uniform(material.noise_seed, static_cast<std::int64_t>(row), 0, 7) * 6.0;
  const double column = std::floor((p.up + shift) / 7.0);
  const double tone =
      hash_uniform(material.noise_seed, static_cast<std::int64_t>(row), static_cast<std::int64_t>(column), 3);
  const double grain = noise(material.noise_seed, {p.across * 5.0, p.up * 0.6, tone * 40.0});
  const double gap = p.across - row < 0.05 ? 0.35 : 0.0;
  return std::min(1.0, 0.5 * tone + 0.45 * grain + gap);
}

/// Bricks or tiles; 1 in the joints.
double bricks(const Material& material, const FacePoint& p) {
  const double row = std::floor(p.up);
  const double x = p.across / 2.0 + (floor_index(row) % 2 == 0 ? 0.0 : 0.5);
  if (p.up - row < 0.12 || x - std::floor(x) < 0.06) {
    return 1.0;
  }
  return 0.35 * hash_uniform(material.noise_seed, floor_index(row), floor_index(x), 1);
}

double dots(const Vec3& p) {
  const Vec3 q{p.x - std::floor(p.x) - 0.5, p.y - std::floor(p.y) - 0.5, p.z - std::floor(p.z) - 0.5};
  return dot(q, q) < 0.15 ? 1.0 : 0.0;
}

double pattern_value(const Material& material, const Vec3& p, const Vec3& normal) {
  switch (material.pattern) {
    case Pattern::plain:
      return 0.12 * noise(material.noise_seed, p * 2.0);
    case Pattern::checker:
      return checker(p);
    case Pattern::stripes:
      return stripes(p);
    case Pattern::planks:
      return planks(material, on_face(p, normal));
    case Pattern::marble:
      return turbulence(material.noise_seed, p);
    case Pattern::bricks:
      return bricks(material, on_face(p, normal));
    case Pattern::dots:
      return dots(p);
  }
  return 0;
}

}  // namespace

double hash_uniform(std::uint64_t seed, std::int64_t i, std::int64_t j, std::int64_t k) {
  std::uint64_t h = seed + static_cast<std::uint64_t>(i) * 0x9e3779b97f4a7c15ULL +
                    static_cast<std::uint64_t>(j) * 0xc2b2ae3d27d4eb4fULL +
                    static_cast<std::uint64_t>(k) * 0x165667b19e3779f9ULL;
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ULL;
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ULL;
  h ^= h >> 32;
  return static_cast<double>(h >> 11) * 0x1.0p-53;
}

Vec3 surface_color(const Material& material, const Vec3& position, const Vec3& normal) {
  const Vec3 p = (position + material.phase) * (1.0 / material.cell_metres);
  return mix(material.first, material.second, pattern_value(material, p, normal));
}

}  // namespace xtasc::preprocess
