#pragma once

#include <cstddef>
#include <cstdint>

namespace xtasc::io {

/// Rows that a wave takes together; 0 where the processor has no AVX2: there is no wave then.
[[nodiscard]] std::size_t png_wave_rows(std::size_t pixel_bytes);

/// Undoes the filters of consecutive rows together, whatever they are, each row some pixels behind the one above it.
/// A pixel waits for the one on its left, so that a row alone leaves most of a processor idle.
///
/// \param rows    the first row's filter byte; a row every `stride` bytes, the row above the first one undone already.
///                All are at most kMaxPngFilter. kPngFilterPadding readable bytes behind the last row.
/// \param count   1 to png_wave_rows
void undo_png_wave(std::uint8_t* rows, std::size_t count, std::size_t stride, std::size_t pixel_bytes);

}  // namespace xtasc::io
