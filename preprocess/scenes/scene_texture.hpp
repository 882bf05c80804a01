#pragma once

#include <cstdint>

#include "preprocess/scenes/scene_geometry.hpp"

namespace xtasc::preprocess {

enum class Pattern { plain, checker, stripes, planks, marble, bricks, dots };

/// What a surface is made of; colours are linear (gamma 2), 0 .. 1.
struct Material {
  Pattern pattern = Pattern::plain;
  Vec3 first, second;        ///< the two colours between which the pattern goes
  double cell_metres = 0.3;  ///< size of one check, stripe, plank width or brick height
  Vec3 phase;                ///< where the pattern starts, metres
  double gloss = 0;          ///< strength of the highlight, 0 .. 1
  std::uint64_t noise_seed = 0;
};

/// The colour of a material at a point of a body's surface, both in the body's own axes.
[[nodiscard]] Vec3 surface_color(const Material& material, const Vec3& position, const Vec3& normal);

/// A uniform value in [0, 1) that is a pure function of its arguments.
[[nodiscard]] double hash_uniform(std::uint64_t seed, std::int64_t i, std::int64_t j, std::int64_t k);

}  // namespace xtasc::preprocess
