#pragma once

#include <cstdint>
#include <vector>

#include "preprocess/scenes/scene_geometry.hpp"
#include "preprocess/scenes/scene_texture.hpp"

namespace xtasc::preprocess {

struct Light {
  Vec3 position;
  Vec3 color;               ///< linear, at one metre times reach
  double reach_metres = 3;  ///< distance at which the light has fallen to a half
};

/// A scene before it is rendered.
struct Layout {
  Geometry geometry;
  std::vector<Material> materials;
  Camera camera;
  std::vector<Light> lights;
  Vec3 ambient;
  double exposure = 1;
};

/// Draws scene `index` of set `seed`: a room, its furniture (at least one of each kind if there is space), materials,
/// lights and a camera that looks into it. Every draw comes from RandomStream(seed, Purpose::scene, 0, index).
[[nodiscard]] Layout compose_layout(std::uint64_t seed, std::uint64_t index);

}  // namespace xtasc::preprocess
