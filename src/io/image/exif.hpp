#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "io/image/image.hpp"

namespace xtasc::io {

/// What an EXIF block starts with in a JPEG's APP1 segment.
inline constexpr std::string_view kExifMagic("Exif\0\0", 6);

/// The orientation 1 .. 8 in the first directory of a TIFF structure, of either byte order; 1, upright, where there is
/// none, or none that makes sense. Looks at no byte beyond `tiff`, whatever its offsets say.
///
/// \param tiff  the content of a PNG's eXIf chunk, or of a JPEG's APP1 segment behind kExifMagic.
/// Source: Exif 2.32 (CIPA DC-008-2019), 4.5 and 4.6.4, tag 274.
[[nodiscard]] int exif_orientation(std::string_view tiff);

/// Whether height and width change places when a picture of this orientation is turned upright.
[[nodiscard]] constexpr bool orientation_swaps(int orientation) {
  return orientation >= 5;
}

/// What a viewer does to the stored pixels, in words: "turned by 180 degrees".
[[nodiscard]] std::string_view orientation_words(int orientation);

/// The picture as its orientation 1 .. 8 means it; from 5 on rows become columns.
template <typename T>
[[nodiscard]] Image<T> oriented(Image<T> image, int orientation);

}  // namespace xtasc::io
