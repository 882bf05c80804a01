#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "io/image/image.hpp"

namespace xtasc::io {

/// Decodes a PNG of any kind through libpng, for those that decode_png does not know: interlaced, with a palette, or of
/// fewer than 8 bits. Values are as stored: gamma and colour profiles, like every chunk that is not about pixels, are
/// passed over, and a transparent colour is an opaque one. Nothing is printed. CRCs are the caller's: read_png_chunks.
///
/// \param header  of the same file; its size is what is allocated, so judge it first.
/// \param channels  3: RGB of 8 bits; 1: the PNG's one channel as stored, of T's bits or fewer; of a palette, indices.
/// \throws Error  "cannot read 'PATH': damaged PNG, REASON".
template <typename T>
[[nodiscard]] Image<T> decode_general_png(std::string_view file, const ImageHeader& header, std::int64_t channels,
                                          const std::filesystem::path& path);

}  // namespace xtasc::io
