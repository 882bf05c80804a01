#pragma once

#include <cstddef>
#include <cstdint>

namespace xtasc::io {

inline constexpr int kMaxPngFilter = 4;
/// Bytes behind a row that undo_png_filter may read (never write).
inline constexpr std::size_t kPngFilterPadding = 8;

/// Whether a row with this filter is coded against the row above it: Up, Average and Paeth are.
[[nodiscard]] constexpr bool filter_looks_up(std::uint8_t filter) {
  return filter >= 2;
}

/// Undoes a row's filter in place.
///
/// \param filter  0 None, 1 Sub, 2 Up, 3 Average, 4 Paeth
/// \param row     `length` bytes, with kPngFilterPadding readable bytes behind
/// \param above   the row above, undone already; zeros above the first row
/// \param pixel_bytes  bytes of a pixel: 1, 2, 3 or 4
/// Source: W3C, Portable Network Graphics (PNG) Specification, section 9, https://www.w3.org/TR/png-3/#9Filters
void undo_png_filter(std::uint8_t filter, std::uint8_t* row, const std::uint8_t* above, std::size_t length,
                     std::size_t pixel_bytes);

}  // namespace xtasc::io
