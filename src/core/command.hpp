#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace xtasc {

/// How to run a command.
struct CommandOptions {
  std::optional<std::chrono::seconds> timeout = {};  ///< it is killed then, with its children; absent: it has all time
  std::filesystem::path folder = {};                 ///< where it runs; empty: where this process does
  std::optional<int> inherited = {};  ///< a descriptor that it keeps open: a lock held through it lasts as long
  int signal_when_orphaned = 0;       ///< sent to it when this process dies; 0: none
  bool is_merged = false;             ///< its errors stand among its output
  std::string if_missing = {};        ///< the error's text where there is no such program
};

/// What became of a command.
struct CommandResult {
  int exit_code = 0;  ///< 128 + n when a signal ended it
  bool timed_out = false;
  std::string output, errors;  ///< its standard output and standard error
};

/// Runs a program to its end, without a shell, as a Process.
/// \throws Error when it cannot be started: not installed, for one.
[[nodiscard]] CommandResult run_command(const std::vector<std::string>& words, const CommandOptions& options);

/// As bash reads it as one word.
[[nodiscard]] std::string shell_word(const std::string& text);

}  // namespace xtasc
