#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "io/image/image.hpp"

namespace xtasc::io {

/// The first bytes of every JPEG file.
inline constexpr std::string_view kJpegMagic = "\xff\xd8\xff";

/// Walks the segments of a JPEG file up to its frame header, and on to its scan for the EXIF block where that did not
/// come before. Stray bytes between segments are passed over, as every decoder does.
/// \returns  nothing when `file` ends before the frame header. \throws Error  when there is none.
[[nodiscard]] std::optional<ImageHeader> parse_jpeg_header(std::string_view file, const std::filesystem::path& path);

/// Decodes a whole JPEG file of 8 bits a channel as H x W x 3 RGB, pixels where they are stored: exact integer DCT,
/// smooth chroma upsampling, grey spread to RGB, CMYK and YCCK as Adobe stores them (inverted). Whatever the decoder
/// warns of is an error, but for what no pixel depends on, which becomes the image's remark: an unknown version, scan
/// parameters that only progressive files have, stray bytes in front of the scan, and what follows the end mark (phones
/// append films). Nothing is printed. A JPEG has no checksum: damage that leaves a valid code stream goes unnoticed.
///
/// \param header  of the same file; its size is what is allocated, so judge it first.
/// \throws Error  "cannot read 'PATH': damaged JPEG, REASON", also when the end mark is missing.
[[nodiscard]] Image<std::uint8_t> decode_jpeg(std::string_view file, const ImageHeader& header,
                                              const std::filesystem::path& path);

}  // namespace xtasc::io
