#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace xtasc::tensorfile {

/// Whether `text`, taken from a file, has characters that a terminal would act on.
[[nodiscard]] inline bool has_control_characters(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

/// Text from a file, fit for one line of an error message: at most 80 bytes, everything but printable ASCII as '?'.
[[nodiscard]] inline std::string printable(std::string_view text) {
  constexpr std::size_t kMaxShown = 80;
  std::string line(text.substr(0, kMaxShown));
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text.size() > kMaxShown ? line + "..." : line;
}

}  // namespace xtasc::tensorfile
