#include "sweep/local/live_block.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace xtasc::sweep {

namespace {

winsize terminal_size() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    size.ws_col = 80;
    size.ws_row = 24;
  }
  return size;
}

/// At most `columns` characters (UTF-8), none of which moves the cursor.
std::string cut(const std::string& line, std::size_t columns) {
  std::string result;
  std::size_t width = 0;
  for (const char c : line) {
    const auto byte = static_cast<unsigned char>(c);
    width += (byte & 0xC0U) == 0x80U ? 0 : 1;
    if (width > columns) {
      break;
    }
    result += byte < 0x20 || byte == 0x7F ? ' ' : c;
  }
  return result;
}

}  // namespace

LiveBlock::LiveBlock() : is_on_terminal_(::isatty(STDERR_FILENO) == 1) {}

LiveBlock::~LiveBlock() {
  erase();
}

void LiveBlock::draw(const std::vector<std::string>& lines) {
  if (!is_on_terminal_) {
    return;
  }
  erase();
  const winsize size = terminal_size();
  // A block higher than the terminal could not be taken away again: its last lines are the summary.
  const std::size_t count = std::min<std::size_t>(lines.size(), size.ws_row > 1U ? size.ws_row - 1U : 1U);
  std::string text;
  for (std::size_t i = lines.size() - count; i < lines.size(); ++i) {
    text += cut(lines[i], size.ws_col > 1U ? size.ws_col - 1U : 1U) + "\033[K\n";
  }
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
  num_shown_ = count;
}

void LiveBlock::erase() {
  if (num_shown_ > 0) {
    fmt::print(stderr, "\033[{}A\033[J", num_shown_);
    std::fflush(stderr);
    num_shown_ = 0;
  }
}

}  // namespace xtasc::sweep
