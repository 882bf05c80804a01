#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>

#include "core/error.hpp"

namespace CLI {
class App;
}

namespace xtasc {

/// What a program of several ranks does around an error message.
struct ErrorHooks {
  std::function<std::string()> speaker;              ///< who speaks, "rank 3 on n2"; empty: only one could
  std::function<void()> before_message;              ///< e.g. leaves the word to rank 0, where all ranks fail alike
  std::function<void(int exit_code)> after_message;  ///< e.g. ends the other ranks
  /// An exception of a library as an Error that says more; nullopt: nothing more is known.
  std::function<std::optional<Error>(const std::exception&)> translate;
};

/// Parses the command line into `app`, then runs `body`; turns every outcome into the exit code that the programs
/// share.
///
/// --help and --version (added here) print and return 0; a wrong command line, to which an option with
/// an empty text belongs, prints one line and returns 2; an Error prints its line and details and returns its code; a
/// lack of memory returns 3, and any other exception is a failure and returns 1. So is output that standard output did
/// not take (a full disk); where it was closed beforehand, nobody wanted any: see open_closed_streams(). SIGXFSZ is
/// ignored from here on.
int run_program(CLI::App& app, int argc, char** argv, const std::function<ExitCode()>& body,
                const ErrorHooks& hooks = {});

/// Adds --stall-seconds, of a program whose ProgramWatch has no config to take its limit from.
void add_stall_option(CLI::App& app, std::int64_t& seconds);

}  // namespace xtasc
