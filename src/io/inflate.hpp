#pragma once

#include <cstddef>
#include <span>

namespace xtasc::io {

enum class Inflated {
  whole,      ///< exactly as many bytes as there is room for, their Adler-32 right
  too_short,  ///< fewer
  too_long,   ///< more
  damaged     ///< no zlib stream, or its Adler-32 is wrong
};

/// Inflates a zlib stream that must fill `out` exactly; what lies behind its end is not looked at.
/// Source: RFC 1950. \throws std::bad_alloc
[[nodiscard]] Inflated inflate_zlib(std::span<const std::byte> stream, std::span<std::byte> out);

}  // namespace xtasc::io
