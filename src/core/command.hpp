#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace xtasc {

/// What became of a command.
struct CommandResult {
  int exit_code = 0;  ///< 128 + n when a signal ended it
  bool timed_out = false;
  std::string output, errors;  ///< its standard output and standard error
};

/// Runs a program to its end, without a shell, in a process group of its own: Ctrl-C at the terminal is for this
/// process alone to act on. \param timeout  it is killed then \param inherited  a descriptor that it keeps open, so
/// that a lock held through it lasts as long as it lives; -1: none \throws Error when it cannot be started: not
/// installed, for one.
[[nodiscard]] CommandResult run_command(const std::vector<std::string>& words, std::chrono::seconds timeout,
                                        int inherited = -1);

}  // namespace xtasc
