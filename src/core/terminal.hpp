#pragma once

#include <cstddef>
#include <string>

namespace xtasc {

/// Whether lines on a stream can be drawn over: it is a terminal, and TERM does not call it dumb (or nothing at all).
/// \param descriptor  STDOUT_FILENO or STDERR_FILENO
[[nodiscard]] bool can_redraw(int descriptor);

/// Whether what is written to a stream may have colours: as can_redraw, unless NO_COLOR is set (no-color.org).
[[nodiscard]] bool may_have_colours(int descriptor);

struct TerminalSize {
  std::size_t columns = 80, rows = 24;  ///< >= 1
};

/// As wide and high as the terminal is now; 80 x 24 where it does not say.
[[nodiscard]] TerminalSize terminal_size(int descriptor);

/// The longest beginning of a line (UTF-8) that takes at most `columns` columns, with a space for every character that
/// would move the cursor. A character from U+1100 on counts two columns: some take two, none takes more.
[[nodiscard]] std::string cut_to_columns(const std::string& line, std::size_t columns);

}  // namespace xtasc
