#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "preprocess/resize.hpp"

namespace xtasc::preprocess {

/// What turns components of raw normals into those of a pack: 1 or -1 for each of them.
using AxisSigns = std::array<double, 3>;

/// The axes of a pack: x counts to the right, y down, z into the scene.
inline constexpr std::string_view kPackAxes = "right,down,in";

/// The signs of raw normals whose components count along `words`: "right,down,in", or "left", "up" or "out" (to the
/// camera) in their places. Nothing for any other text.
[[nodiscard]] std::optional<AxisSigns> axis_signs(std::string_view words);

/// Writes a normal as packs store it: of unit length, times pack::kNormalScale, rounded; 0 0 0 stays what it is.
void store_normal(double x, double y, double z, std::int16_t* out);

/// A pinhole camera in pixels. The centre of the first row and column is at (0, 0).
struct Pinhole {
  double fx = 1, fy = 1, cx = 0, cy = 0;
};

/// Normals of the surface that a depth map shows, as packs store them: the plane through the points at offsets
/// {-9, -6, -3, -1, 0, 1, 3, 6, 9}^2 pixels whose depth is valid and differs from the centre's by less than 5 %, at
/// least 3 of them and not all on a line, turned to the camera; 0 0 0 where there is none. The same bits on every
/// processor.
///
/// \param depth  size.height x size.width along the optical axis, in any unit; 0 = invalid
/// \returns  size.height x size.width x 3
[[nodiscard]] std::vector<std::int16_t> normals_from_depth(std::span<const float> depth, Size size,
                                                           const Pinhole& camera);

}  // namespace xtasc::preprocess
