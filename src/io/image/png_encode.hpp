#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "io/image/image.hpp"

namespace xtasc::io {

/// Encodes pixels as a PNG, through libpng: grey of 8 or 16 bits, or RGB of 8.
///
/// \param pixels  height x width x channels, T uint8 or uint16; channels 1 (grey) or 3 (RGB, uint8 alone).
/// \param path  named by errors. \returns  the file's bytes, the same for the same pixels and the same libpng and zlib.
/// \throws Error  "cannot encode 'PATH' as PNG: REASON": a side beyond libpng's million, no memory.
template <typename T>
[[nodiscard]] std::vector<std::byte> encode_png(std::span<const T> pixels, std::int64_t height, std::int64_t width,
                                                std::int64_t channels, PngEffort effort,
                                                const std::filesystem::path& path);

}  // namespace xtasc::io
