#include "preprocess/datasets/depth_bounds.hpp"

#include <fmt/format.h>

namespace xtasc::preprocess {

const DepthBounds& nyuv2_depth_bounds() {
  static const DepthBounds bounds{20.0, 1.0, "NYUv2's sensor reaches 10 m", "metres"};
  return bounds;
}

const DepthBounds& cityscapes_depth_bounds() {
  static const DepthBounds bounds{1.0, 1.0 / 256.0, "the inverse depth of Cityscapes reaches 0.4922", "inverse depth"};
  return bounds;
}

std::string too_much_depth(const DepthBounds& bounds, double value) {
  const bool is_metric = bounds.unit == "metres";
  return fmt::format("{}: {}? {} {} expected", bounds.range,
                     !is_metric       ? "are these metres, or disparities"
                     : value > 1000.0 ? "are these millimetres"
                                      : "are these centimetres, millimetres or grey levels",
                     bounds.unit, is_metric ? "are" : "is");
}

std::optional<std::string> too_little_depth(const DepthBounds& bounds, double largest) {
  if (largest <= 0.0 || largest > bounds.least_largest) {
    return std::nullopt;
  }
  const bool is_metric = bounds.unit == "metres";
  return fmt::format("no depth is above {:.4g}, and {}: {}? {} {} expected", largest, bounds.range,
                     is_metric ? "are these kilometres, or was depth normalised to 0 .. 1"
                               : "were the disparities divided by 256 before",
                     bounds.unit, is_metric ? "are" : "is");
}

std::string doubt_of_depth(const pack::Schema& schema) {
  constexpr double kFar = 1000.0, kNear = 0.1;
  if (schema.depth_kind != pack::DepthKind::metres || schema.depth_max <= 0.0) {
    return {};
  }
  if (schema.depth_max > kFar) {
    return "more than 1 km: are these millimetres?";
  }
  if (schema.depth_max < kNear) {
    return "less than 10 cm: are these kilometres?";
  }
  return schema.depth_max == 1.0 ? "exactly 1: was depth normalised to 0 .. 1?" : "";
}

}  // namespace xtasc::preprocess
