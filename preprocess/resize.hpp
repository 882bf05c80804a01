#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "io/image/image.hpp"

namespace xtasc::preprocess {

struct Size {
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool operator==(const Size&) const = default;
};

/// How the image is made smaller; labels, depth and normals are always nearest.
enum class ImageFilter { nearest, area };

/// What the raw samples are made into.
struct Resize {
  Size to;
  ImageFilter image_filter = ImageFilter::nearest;
};

/// Index of the source pixel whose square holds the centre of target pixel `i`: floor((2 i + 1) source / (2 target)),
/// in whole numbers. What Pillow does; OpenCV's INTER_NEAREST takes another pixel.
[[nodiscard]] constexpr std::int64_t nearest_source(std::int64_t i, std::int64_t source, std::int64_t target) {
  return (2 * i + 1) * source / (2 * target);
}

/// The rows and columns that a nearest resize keeps; all of them when the sizes are equal.
[[nodiscard]] io::Selection nearest_selection(Size from, Size to);

/// Nearest resize at pixel centres. \param in  from.height x from.width x channels \returns to.height x to.width x
/// channels
template <typename T>
[[nodiscard]] std::vector<T> resize_nearest(std::span<const T> in, Size from, Size to, std::int64_t channels) {
  std::vector<T> out(static_cast<std::size_t>(to.height * to.width * channels));
  std::size_t next = 0;
  for (std::int64_t row = 0; row < to.height; ++row) {
    const std::int64_t source_row = nearest_source(row, from.height, to.height);
    for (std::int64_t column = 0; column < to.width; ++column) {
      const std::int64_t source_column = nearest_source(column, from.width, to.width);
      const auto start = static_cast<std::size_t>((source_row * from.width + source_column) * channels);
      for (std::size_t channel = 0; channel < static_cast<std::size_t>(channels); ++channel) {
        out[next++] = in[start + channel];
      }
    }
  }
  return out;
}

/// Mean over the source area of each target pixel, for the colour image alone. \param rgb  from.height x from.width x 3
[[nodiscard]] std::vector<std::uint8_t> resize_area(std::span<const std::uint8_t> rgb, Size from, Size to);

}  // namespace xtasc::preprocess
