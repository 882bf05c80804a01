#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace xtasc {

/// Silences log lines and progress of this process; rank 0 alone speaks. Errors are still printed by main.
void set_quiet(bool quiet);
[[nodiscard]] bool is_quiet();

/// One line on standard error with the time of day; results go to standard output instead.
void log_line(const std::string& text);
/// As log_line, marked as a warning.
void log_warning_line(const std::string& text);

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_warning_line(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace xtasc
