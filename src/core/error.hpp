#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace xtasc {

/// What a program returns to its shell; the same for all programs.
enum class ExitCode : int {
  success = 0,
  failure = 1,        ///< the machine, the data or a peer failed
  usage = 2,          ///< wrong command line or config
  out_of_memory = 3,  ///< of the device or the host: the same command would end the same way
  interrupted = 85,   ///< stopped by SIGTERM or SIGUSR2 after a checkpoint; the same command resumes
};

/// The one exception type: everything that a user or a machine can cause.
///
/// what() is one readable line: what failed, on what, what was found and what would be accepted. When an input has
/// several faults, what() sums them up and details() holds one line each. Whatever a damaged file puts into them, they
/// stay lines that a terminal can show: control characters become \xNN, and very long ones are cut.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ExitCode code = ExitCode::failure, std::vector<std::string> details = {});

  [[nodiscard]] ExitCode code() const noexcept { return code_; }
  [[nodiscard]] const std::vector<std::string>& details() const noexcept { return details_; }

 private:
  ExitCode code_;
  std::vector<std::string> details_;
};

/// Throws Error with a formatted message (exit code 1).
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws Error with a formatted message and exit code 2: the command line or a config is wrong.
template <typename... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...), ExitCode::usage);
}

/// Throws Error unless `condition` holds. For return codes of C libraries see the overloads beside their handles.
template <typename... Args>
void check(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) {
    fail(format, std::forward<Args>(args)...);
  }
}

/// The error text of an errno value, e.g. "No space left on device".
[[nodiscard]] std::string errno_text(int error_number);

/// "cannot look at 'PATH': REASON", for what the standard library throws of paths that the system does not follow.
[[nodiscard]] std::string text_of(const std::filesystem::filesystem_error& error);

/// Prints `error` as the programs do: "PROGRAM: error: what()", then at most 20 details, then how many were left out.
void print_error(const std::string& program, const Error& error);

}  // namespace xtasc
