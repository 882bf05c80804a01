#pragma once

#include <optional>
#include <string>

#include "pack/schema.hpp"

namespace xtasc::preprocess {

/// What the depth of a known data set can be, in the unit of its packs: what lies beyond is in another unit, and would
/// train all the same.
struct DepthBounds {
  double most = 0.0;           ///< no pixel has more
  double least_largest = 0.0;  ///< the largest of the whole set is above this
  std::string range;           ///< what is known of the set: "NYUv2's sensor reaches 10 m"
  std::string unit;            ///< that is expected: "metres"
};

/// NYU Depth v2: the sensor gives up to 10 m. Twice that leaves room for whoever filled holes otherwise; millimetres,
/// centimetres and grey levels are far beyond. The shallowest of the 1,449 labelled frames reaches 1.27 m, so that even
/// a single one in kilometres, or normalised to 0 .. 1, is found.
[[nodiscard]] const DepthBounds& nyuv2_depth_bounds();

/// Cityscapes: inverse depth is disparity in pixels / 256, 126 / 256 at most; one pixel of disparity, 1 / 256, means
/// 470 m: a set that has nothing nearer was divided once too often.
[[nodiscard]] const DepthBounds& cityscapes_depth_bounds();

/// Why `value`, which is above bounds.most, is refused, as a question: "...: are these millimetres?"
[[nodiscard]] std::string too_much_depth(const DepthBounds& bounds, double value);
/// Why a set is refused whose largest depth is `largest`; nothing where it is plausible, or where no depth is valid.
[[nodiscard]] std::optional<std::string> too_little_depth(const DepthBounds& bounds, double largest);

/// What looks wrong about the largest depth of a pack in metres of which nothing else is known, in few words; empty
/// when nothing does.
[[nodiscard]] std::string doubt_of_depth(const pack::Schema& schema);

}  // namespace xtasc::preprocess
