#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace xtasc::preprocess {

/// One generated sample: a furnished room seen by a camera. All arrays are row-major.
struct Scene {
  std::vector<std::uint8_t> image;  ///< (height, width, 3) RGB, antialiased by 2 x 2 rays a pixel
  std::vector<std::uint8_t> label;  ///< (height, width) class id 0 .. 6, exact at the pixel centre, never void
  std::vector<float> depth;         ///< (height, width) metres along the optical axis, exact at the pixel centre, > 0
  /// (height, width, 3) exact at the pixel centre, as packs store them (pack::Reader::read_normals); empty unless asked
  /// for
  std::vector<std::int16_t> normals;
};

/// Renders scene `index` of the endless set `seed` by ray casting on the calling thread.
///
/// A pure function of its arguments, safe to call from many threads. What is in the scene depends on (seed, index)
/// alone; height and width choose how finely and how widely it is seen. Only +, -, *, / and sqrt are used (no libm
/// function whose last bit differs among machines), so the result is the same everywhere as long as the compiler
/// does not contract a * b + c (-ffp-contract=off where the target has fused multiply-add).
///
/// \param with_normals  whether Scene::normals is filled \throws Error  unless height and width are 1 .. 8192.
[[nodiscard]] Scene render_scene(std::uint64_t seed, std::uint64_t index, std::int64_t height, std::int64_t width,
                                 bool with_normals = false);

/// Names of the seven classes, by label: floor, wall, ceiling, box, sphere, cylinder, table.
[[nodiscard]] const std::vector<std::string>& scene_class_names();

/// Display colours of the seven classes, by label.
///
/// Source: Okabe, Ito, "Color universal design", 2008 (distinct for colour-blind readers).
[[nodiscard]] const std::vector<std::array<std::uint8_t, 3>>& scene_class_colors();

}  // namespace xtasc::preprocess
