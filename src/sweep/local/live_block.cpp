#include "sweep/local/live_block.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/terminal.hpp"

namespace xtasc::sweep {

LiveBlock::LiveBlock() : is_on_terminal_(can_redraw(STDERR_FILENO)) {}

LiveBlock::~LiveBlock() {
  erase();
}

void LiveBlock::draw(const std::vector<std::string>& lines) {
  if (!is_on_terminal_) {
    return;
  }
  erase();
  const TerminalSize size = terminal_size(STDERR_FILENO);
  // A block higher than the terminal could not be taken away again: its last lines are the summary.
  const std::size_t count = std::min(lines.size(), std::max<std::size_t>(1, size.rows - 1));
  std::string text;
  for (std::size_t i = lines.size() - count; i < lines.size(); ++i) {
    text += cut_to_columns(lines[i], size.columns - 1) + "\033[K\n";
  }
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
  num_shown_ = count;
}

void LiveBlock::erase() {
  if (num_shown_ > 0) {
    // fmt::print throws where the terminal has closed, and this is in the destructor.
    std::fputs(fmt::format("\033[{}A\033[J", num_shown_).c_str(), stderr);
    std::fflush(stderr);
    num_shown_ = 0;
  }
}

}  // namespace xtasc::sweep
