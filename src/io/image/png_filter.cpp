#include "io/image/png_filter.hpp"

#include <algorithm>
#include <cstring>

#include "core/multiversion.hpp"
#include "io/image/png_wave.hpp"

namespace xtasc::io {

namespace {

constexpr std::uint8_t kSub = 1, kUp = 2, kAverage = 3, kPaeth = 4;

// A pixel's bytes are lanes of a vector: the work on a pixel waits for the one on its left, and a vector has that wait
// once a pixel instead of once a byte. Lanes beyond the pixel hold bytes of the next one and are dropped.
using Bytes = std::uint8_t __attribute__((vector_size(8)));
using Lanes = std::int16_t __attribute__((vector_size(16)));

XTASC_INLINE Lanes load(const std::uint8_t* pixel) {
  Bytes bytes;
  std::memcpy(&bytes, pixel, sizeof(bytes));
  return __builtin_convertvector(bytes, Lanes);
}

template <std::size_t pixel_bytes>
XTASC_INLINE void store(std::uint8_t* pixel, Lanes value) {
  const Bytes bytes = __builtin_convertvector(value, Bytes);
  std::memcpy(pixel, &bytes, pixel_bytes);
}

XTASC_INLINE Lanes magnitude(Lanes value) {
  const Lanes negative = -value;
  return value > negative ? value : negative;
}

template <std::size_t pixel_bytes>
XTASC_INLINE void undo_sub(std::uint8_t* row, std::size_t length) {
  for (std::size_t i = pixel_bytes; i < length; ++i) {
    row[i] = static_cast<std::uint8_t>(row[i] + row[i - pixel_bytes]);
  }
}

XTASC_INLINE void undo_up(std::uint8_t* row, const std::uint8_t* above, std::size_t length) {
  for (std::size_t i = 0; i < length; ++i) {
    row[i] = static_cast<std::uint8_t>(row[i] + above[i]);
  }
}

template <std::size_t pixel_bytes>
XTASC_INLINE void undo_average(std::uint8_t* row, const std::uint8_t* above, std::size_t length) {
  Lanes left{};
  for (std::size_t i = 0; i < length; i += pixel_bytes) {
    left = (load(row + i) + ((left + load(above + i)) >> 1)) & 0xff;
    store<pixel_bytes>(row + i, left);
  }
}

/// Adds left, above or the corner between them, whichever is nearest to left + above - corner.
template <std::size_t pixel_bytes>
XTASC_INLINE void undo_paeth(std::uint8_t* row, const std::uint8_t* above, std::size_t length) {
  Lanes left{};
  Lanes corner{};
  for (std::size_t i = 0; i < length; i += pixel_bytes) {
    const Lanes up = load(above + i);
    const Lanes from_left = up - corner;
    const Lanes from_up = left - corner;
    const Lanes to_left = magnitude(from_left);
    const Lanes to_up = magnitude(from_up);
    const Lanes to_corner = magnitude(from_left + from_up);
    const Lanes second = to_up <= to_corner ? up : corner;
    const Lanes to_second = to_up < to_corner ? to_up : to_corner;
    const Lanes nearest = to_left <= to_second ? left : second;
    left = (load(row + i) + nearest) & 0xff;
    corner = up;
    store<pixel_bytes>(row + i, left);
  }
}

template <std::size_t pixel_bytes>
XTASC_INLINE void undo(std::uint8_t filter, std::uint8_t* row, const std::uint8_t* above, std::size_t length) {
  switch (filter) {
    case kSub:
      undo_sub<pixel_bytes>(row, length);
      break;
    case kUp:
      undo_up(row, above, length);
      break;
    case kAverage:
      undo_average<pixel_bytes>(row, above, length);
      break;
    case kPaeth:
      undo_paeth<pixel_bytes>(row, above, length);
      break;
    default:
      break;
  }
}

XTASC_MULTIVERSION void undo_row(std::uint8_t filter, std::uint8_t* row, const std::uint8_t* above, std::size_t length,
                                 std::size_t pixel_bytes) {
  switch (pixel_bytes) {
    case 1:
      undo<1>(filter, row, above, length);
      break;
    case 2:
      undo<2>(filter, row, above, length);
      break;
    case 3:
      undo<3>(filter, row, above, length);
      break;
    default:
      undo<4>(filter, row, above, length);
      break;
  }
}

/// Whether a row's pixels wait for those on their left, as those of None and Up do not.
bool waits(std::uint8_t filter) {
  return filter == kSub || filter == kAverage || filter == kPaeth;
}

}  // namespace

void undo_png_filters(std::uint8_t* rows, std::size_t count, std::size_t stride, std::size_t pixel_bytes) {
  const std::size_t most = png_wave_rows(pixel_bytes);
  for (std::size_t row = 0; row < count;) {
    std::uint8_t* line = rows + row * stride;
    std::size_t together = waits(line[0]) ? std::min(most, count - row) : 0;
    while (together > 0 && !waits(line[(together - 1) * stride])) {
      --together;
    }
    if (together > 1) {
      undo_png_wave(line, together, stride, pixel_bytes);
      row += together;
    } else {
      undo_row(line[0], line + 1, line + 1 - stride, stride - 1, pixel_bytes);
      ++row;
    }
  }
}

}  // namespace xtasc::io
