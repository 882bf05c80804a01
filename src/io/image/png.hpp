#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "io/image/image.hpp"

namespace xtasc::io {

[[nodiscard]] bool is_png(std::string_view file);

/// Also looks for the eXIf chunk among the chunks that `file` holds whole: it may stand before or behind the pixels.
/// \param file  all of a PNG, or its first 33 bytes at least. \throws Error  naming `path`: truncated or damaged.
[[nodiscard]] ImageHeader parse_png_header(std::string_view file, const std::filesystem::path& path);

/// A PNG whose chunks are all whole.
struct PngContent {
  ImageHeader header;
  std::vector<std::string_view> data;  ///< of the IDAT chunks, within the file: one zlib stream in pieces
  bool is_interlaced = false;
  bool has_transparency = false;  ///< a tRNS chunk: a colour that means "nothing"
};

/// Walks the chunks up to the end mark, so that an eXIf chunk behind the pixels is found too (header.orientation), and
/// checks every one's CRC, which libpng does not do for all of them. \throws Error  naming `path` and the byte where it
/// is truncated or damaged.
[[nodiscard]] PngContent read_png_chunks(std::string_view file, const std::filesystem::path& path);

/// The kinds that data sets are made of, which decode_png knows: not interlaced, no palette, 8 bits a channel, or grey
/// of 16 bits.
[[nodiscard]] bool is_plain_png(const PngContent& png);

/// Decodes the selected pixels of a plain PNG. All of it is inflated, and its Adler-32 checked; filters are undone only
/// in the rows that the selected ones rest on.
///
/// \param channels  3: RGB, grey is spread and alpha dropped; 1: grey as stored, the PNG must have one channel.
/// T must have the PNG's bit depth. \throws Error  naming `path`: damaged data, data for more or fewer pixels.
template <typename T>
[[nodiscard]] Image<T> decode_png(const PngContent& png, std::int64_t channels, const Selection& selection,
                                  const std::filesystem::path& path);

/// What inflating takes alone, the floor under every PNG decoder. \returns the bytes inflated.
std::size_t inflate_png(const PngContent& png, const std::filesystem::path& path);

}  // namespace xtasc::io
