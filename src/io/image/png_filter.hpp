#pragma once

#include <cstddef>
#include <cstdint>

namespace xtasc::io {

inline constexpr int kMaxPngFilter = 4;
/// Bytes behind the last row that undo_png_filters may read (never write).
inline constexpr std::size_t kPngFilterPadding = 16;

/// Whether a row with this filter is coded against the row above it: Up, Average and Paeth are.
[[nodiscard]] constexpr bool filter_looks_up(std::uint8_t filter) {
  return filter >= 2;
}

/// Undoes the filters of consecutive rows in place.
///
/// \param rows    the filter byte of the first row: 0 None, 1 Sub, 2 Up, 3 Average or 4 Paeth; its pixels follow, and
///                `stride` bytes further the next row. The row above the first must be there and undone, unless no
///                filter looks at it; zeros above the first row of an image. kPngFilterPadding readable bytes behind
///                the last.
/// \param stride  1 + the bytes of a row's pixels
/// \param pixel_bytes  bytes of a pixel: 1, 2, 3 or 4
/// Source: W3C, Portable Network Graphics (PNG) Specification, section 9, https://www.w3.org/TR/png-3/#9Filters
void undo_png_filters(std::uint8_t* rows, std::size_t count, std::size_t stride, std::size_t pixel_bytes);

}  // namespace xtasc::io
