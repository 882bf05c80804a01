#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace xtasc {

/// The first byte of `text` that belongs to no character of UTF-8; nullopt where there is none. Source: RFC 3629, 4
[[nodiscard]] std::optional<std::size_t> first_not_utf8(std::string_view text);

/// `text` with \xNN in the place of each byte that belongs to no character of UTF-8.
[[nodiscard]] std::string with_escaped_bytes(std::string_view text);

/// What keeps the text of a file from being read: "it is UTF-16, ...", "its line 3 is not UTF-8 (...), ..."; nullopt
/// for UTF-8, with or without a byte order mark.
[[nodiscard]] std::optional<std::string> encoding_fault(std::string_view text);

/// `text` without the byte order mark that some editors put in front of UTF-8.
[[nodiscard]] std::string_view without_byte_order_mark(std::string_view text);

}  // namespace xtasc
