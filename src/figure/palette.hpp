#pragma once

#include <cstddef>
#include <vector>

#include "figure/panel.hpp"

namespace xtasc::figure {

/// Colours for the first `count` classes of a data set that brings none of its own.
///
/// Fixed, distinct from each other and from kInvalidColor also with red-green colour blindness: the seven of Okabe and
/// Ito, then those of an RGB grid (lightness 28 .. 93) that lie farthest from all before them in CIELAB, seen with
/// normal, protanopic and deuteranopic eyes (matrices of Machado et al. 2009). From the 41st on they repeat.
[[nodiscard]] std::vector<Rgb> default_class_colors(std::size_t count);

/// Ignored labels and pixels without depth.
inline constexpr Rgb kInvalidColor{128, 128, 128};

[[nodiscard]] constexpr Rgb color_of(InvalidPixels invalid) {
  return invalid == InvalidPixels::grey ? kInvalidColor : Rgb{0, 0, 0};
}

}  // namespace xtasc::figure
