#include "io/image/exif.hpp"

#include <algorithm>
#include <array>

namespace xtasc::io {

int exif_orientation(std::string_view tiff) {
  constexpr std::uint32_t kOrientationTag = 274, kShortType = 3;
  const bool is_little = tiff.starts_with("II");
  if (tiff.size() < 8 || (!is_little && !tiff.starts_with("MM"))) {
    return 1;
  }
  const auto number = [&](std::size_t at, std::size_t count) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      value = value << 8 | static_cast<unsigned char>(tiff[at + (is_little ? count - 1 - i : i)]);
    }
    return value;
  };
  const std::size_t directory = number(4, 4);
  if (number(2, 2) != 42 || directory > tiff.size() - 2) {
    return 1;
  }
  const std::size_t num_entries = number(directory, 2);
  for (std::size_t i = 0, at = directory + 2; i < num_entries && at + 12 <= tiff.size(); ++i, at += 12) {
    if (number(at, 2) == kOrientationTag && number(at + 2, 2) == kShortType) {
      const auto value = static_cast<int>(number(at + 8, 2));
      return value >= 1 && value <= 8 ? value : 1;
    }
  }
  return 1;
}

std::string_view orientation_words(int orientation) {
  constexpr std::array<std::string_view, 9> kWords = {"",
                                                      "upright",
                                                      "mirrored left to right",
                                                      "turned by 180 degrees",
                                                      "mirrored top to bottom",
                                                      "mirrored left to right and turned by 90 degrees anticlockwise",
                                                      "turned by 90 degrees clockwise",
                                                      "mirrored left to right and turned by 90 degrees clockwise",
                                                      "turned by 90 degrees anticlockwise"};
  return kWords.at(static_cast<std::size_t>(orientation));
}

template <typename T>
Image<T> oriented(Image<T> image, int orientation) {
  if (orientation == 1) {
    return image;
  }
  const bool swaps = orientation_swaps(orientation);
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Image<T> turned = {
      swaps ? image.width : image.height, swaps ? image.height : image.width, image.channels, {}, image.orientation};
  turned.pixels.resize(image.pixels.size());
  auto out = turned.pixels.begin();
  for (std::int64_t y = 0; y < turned.height; ++y) {
    for (std::int64_t x = 0; x < turned.width; ++x) {
      const std::int64_t row = swaps ? x : y, column = swaps ? y : x;
      const std::int64_t source_row = from_bottom ? image.height - 1 - row : row;
      const std::int64_t source_column = from_right ? image.width - 1 - column : column;
      out = std::copy_n(image.pixels.begin() + (source_row * image.width + source_column) * image.channels,
                        image.channels, out);
    }
  }
  return turned;
}

template Image<std::uint8_t> oriented(Image<std::uint8_t>, int);
template Image<std::uint16_t> oriented(Image<std::uint16_t>, int);

}  // namespace xtasc::io
