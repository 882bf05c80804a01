#include "core/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace xtasc {

namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Bytes and columns of the character that begins with `first`.
struct Extent {
  std::size_t bytes, columns;
};

Extent extent_of(unsigned char first) {
  if (first < 0xC0) {
    return {1, 1};
  }
  if (first < 0xE0) {
    return {2, 1};
  }
  return first < 0xF0 ? Extent{3, first == 0xE0 ? 1U : 2U} : Extent{4, 2};  // 0xE0 begins those up to U+0FFF
}

}  // namespace

bool can_redraw(int descriptor) {
  const std::string_view kind = variable("TERM");
  return ::isatty(descriptor) == 1 && !kind.empty() && kind != "dumb";
}

bool may_have_colours(int descriptor) {
  return can_redraw(descriptor) && variable("NO_COLOR").empty();
}

TerminalSize terminal_size(int descriptor) {
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {.columns = size.ws_col, .rows = size.ws_row};
}

std::string cut_to_columns(const std::string& line, std::size_t columns) {
  std::string result;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < line.size();) {
    const auto first = static_cast<unsigned char>(line[i]);
    const Extent extent = extent_of(first);
    taken += extent.columns;
    if (taken > columns) {
      break;
    }
    result += first < 0x20 || first == 0x7F ? " " : line.substr(i, extent.bytes);
    i += extent.bytes;
  }
  return result;
}

}  // namespace xtasc
