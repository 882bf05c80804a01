#include "core/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace xtasc {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// Bytes of the character that `text` begins with; 0 where it begins with none: overlong forms, surrogates and numbers
/// beyond U+10FFFF are none.
std::size_t length_of_character(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  const std::size_t length = first < 0xc2 || first > 0xf4 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (length == 0 || text.size() < length) {
    return 0;
  }
  const unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  bool is_whole = byte(1) >= low && byte(1) <= high;
  for (std::size_t i = 2; i < length; ++i) {
    is_whole = is_whole && (byte(i) & 0xc0) == 0x80;
  }
  return is_whole ? length : 0;
}

/// Latin letters of UTF-16 without a mark: every other byte is 0.
bool looks_like_utf16(std::string_view text) {
  return text.size() >= 4 && (text[0] == '\0') != (text[1] == '\0') && (text[0] == '\0') == (text[2] == '\0') &&
         (text[1] == '\0') == (text[3] == '\0');
}

}  // namespace

std::optional<std::size_t> first_not_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = length_of_character(text.substr(at));
    if (length == 0) {
      return at;
    }
    at += length;
  }
  return std::nullopt;
}

std::string with_escaped_bytes(std::string_view text) {
  std::string escaped;
  while (const auto bad = first_not_utf8(text)) {
    escaped += fmt::format("{}\\x{:02x}", text.substr(0, *bad), static_cast<unsigned char>(text[*bad]));
    text.remove_prefix(*bad + 1);
  }
  return escaped.append(text);
}

std::optional<std::string> encoding_fault(std::string_view text) {
  constexpr std::string_view kAdvice = "save it as UTF-8";
  if (text.starts_with("\x1f\x8b")) {
    return "it is compressed by gzip: unpack it";
  }
  if (text.starts_with(std::string_view("\xff\xfe\0\0", 4)) || text.starts_with(std::string_view("\0\0\xfe\xff", 4))) {
    return fmt::format("it is UTF-32: {}", kAdvice);
  }
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff") || looks_like_utf16(text)) {
    return fmt::format("it is UTF-16: {}", kAdvice);
  }
  if (const auto bad = first_not_utf8(text)) {
    constexpr std::size_t kShown = 40;
    const std::size_t begin = text.rfind('\n', *bad) + 1;  // npos + 1 is 0
    const std::string_view line = text.substr(begin, text.find_first_of("\r\n", *bad) - begin);
    const std::size_t shown_from = std::max(begin, *bad - std::min(*bad, kShown / 2)) - begin;
    return fmt::format("its line {} is not UTF-8 (\"{}\"): {}", std::ranges::count(text.substr(0, *bad), '\n') + 1,
                       with_escaped_bytes(line.substr(shown_from, kShown)), kAdvice);
  }
  return std::nullopt;
}

std::string_view without_byte_order_mark(std::string_view text) {
  return text.substr(text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0);
}

}  // namespace xtasc
