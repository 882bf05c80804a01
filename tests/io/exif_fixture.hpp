#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace xtasc::test {

/// A TIFF structure of one directory with one entry: the orientation, a SHORT.
inline std::string tiff_block(bool is_little, int orientation) {
  using namespace std::string_literals;
  const char value = static_cast<char>(orientation);
  return is_little ? "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"s + value + std::string(7, '\0')
                   : "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"s + value + std::string(6, '\0');
}

inline std::string big_endian_text(std::size_t value, int bytes) {
  std::string text;
  for (int i = bytes; i-- > 0;) {
    text += static_cast<char>(value >> (8 * i) & 0xffU);
  }
  return text;
}

/// CRC-32 bit by bit.
inline std::uint32_t crc_of(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1U) != 0 ? crc >> 1 ^ 0xedb88320U : crc >> 1;
    }
  }
  return ~crc;
}

/// A JPEG with an APP1 segment, or a PNG with an eXIf chunk, before its pixels or (`is_late`, PNG only) behind them.
inline std::string with_exif(const std::string& file, const std::string& tiff, bool is_late = false) {
  using namespace std::string_literals;
  if (file.starts_with("\xff\xd8")) {
    const std::string content = "Exif\0\0"s + tiff;
    return file.substr(0, 2) + "\xff\xe1" + big_endian_text(content.size() + 2, 2) + content + file.substr(2);
  }
  constexpr std::size_t kBehindHeader = 33, kEndChunk = 12;
  const std::size_t at = is_late ? file.size() - kEndChunk : kBehindHeader;
  const std::string chunk = "eXIf" + tiff;
  return file.substr(0, at) + big_endian_text(tiff.size(), 4) + chunk + big_endian_text(crc_of(chunk), 4) +
         file.substr(at);
}

}  // namespace xtasc::test
