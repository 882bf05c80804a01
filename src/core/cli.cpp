#include "core/cli.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "core/signals.hpp"
#include "core/standard_streams.hpp"
#include "core/user_path.hpp"
#include "core/utf8.hpp"
#include "core/version.hpp"

namespace xtasc {

namespace {

/// Libraries put backtraces and newlines into what(); the first line says what happened.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

/// What is wrong with the command line.
std::string message_of(const CLI::ParseError& error, const CLI::App& app) {
  const auto known = app.get_subcommands([](const CLI::App*) { return true; });
  const std::vector<std::string> unknown = app.remaining();
  if (known.empty() || !app.get_subcommands().empty() || unknown.empty() || unknown.front().starts_with('-')) {
    return first_line(error.what());
  }
  std::vector<std::string> names;
  names.reserve(known.size());
  for (const CLI::App* command : known) {
    names.push_back(command->get_name());
  }
  return fmt::format("unknown subcommand \"{}\"; known are {}", unknown.front(), fmt::join(names, ", "));
}

/// What is wrong with the values of the options and arguments of the program or its subcommand; empty: nothing. No
/// option means anything by an empty text, but several would take it for "not given" or for 0. And a "~/" that the
/// shell left would be a folder of that name, as would "~name" and "$NAME" where something is written.
std::string fault_of_values(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& value : option->results()) {
      if (value.empty()) {
        return fmt::format("{} is empty: give it a value or leave it out", option->get_name());
      }
      if (value == "~" || value.starts_with("~/")) {
        return fmt::format(
            "{} is '{}': the shell fills in ~ at the beginning of a word alone, so write {}{}, without quotes",
            option->get_name(), value, option->get_positional() ? "" : option->get_name() + " ", value);
      }
      if (option->check_name("--output") || option->check_name("--json")) {
        if (const std::string fault = fault_of_path(value); !fault.empty()) {
          return fmt::format("{}: {}", option->get_name(), fault);
        }
      }
    }
  }
  for (const CLI::App* command : app.get_subcommands()) {
    if (std::string fault = fault_of_values(*command); !fault.empty()) {
      return fault;
    }
  }
  return {};
}

/// Paths and settings end up in files that are UTF-8. \returns what is wrong with an argument; empty: nothing
std::string encoding_fault_of(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (first_not_utf8(argv[i])) {
      return fmt::format("argument {}, '{}', is not UTF-8: rename what it names, or give a link to it", i,
                         with_escaped_bytes(argv[i]));
    }
  }
  return {};
}

/// Programs with LibTorch do not come this far without one: launch/common/loading.cpp.
bool has_working_folder() {
  std::array<char, PATH_MAX> folder;
  return ::getcwd(folder.data(), folder.size()) != nullptr || errno != ENOENT;
}

/// What `body` threw, as an Error; nullopt when it threw nothing. Only here is anything caught for good.
std::optional<Error> error_of(const std::function<ExitCode()>& body, const ErrorHooks& hooks, ExitCode& outcome) {
  try {
    outcome = body();
    return std::nullopt;
  } catch (const Error& error) {
    // Words of a library that we passed on may tell what kind of failure it was.
    const bool says_nothing = error.code() == ExitCode::failure && hooks.translate;
    std::optional<Error> known = says_nothing ? hooks.translate(error) : std::nullopt;
    return known ? *known : error;
  } catch (const std::bad_alloc& error) {
    std::optional<Error> known = hooks.translate ? hooks.translate(error) : std::nullopt;
    return known ? *known : Error("out of memory", ExitCode::out_of_memory);
  } catch (const std::filesystem::filesystem_error& error) {
    return Error(text_of(error));
  } catch (const std::system_error& error) {
    if (std::ferror(stdout) != 0) {  // fmt::print's
      return Error("cannot write to standard output: " + error.code().message());
    }
    return error.code() == std::errc::resource_unavailable_try_again
               ? Error("cannot start another thread: this user or container may have no more (ulimit -u, a pids limit)")
               : Error(first_line(error.what()));
  } catch (const std::exception& error) {
    std::optional<Error> known = hooks.translate ? hooks.translate(error) : std::nullopt;
    return known ? *known : Error(first_line(error.what()));
  }
}

/// The program's exit code, once what it printed has left.
int with_output(const std::string& program, int exit_code) {
  const bool has_failed = std::ferror(stdout) != 0;
  errno = 0;
  if ((std::fflush(stdout) == 0 && !has_failed) || exit_code != static_cast<int>(ExitCode::success)) {
    return exit_code;
  }
  const std::string reason = errno == 0 ? "" : ": " + errno_text(errno);
  print_error(program, Error("cannot write to standard output" + reason));
  return static_cast<int>(ExitCode::failure);
}

}  // namespace

int run_program(CLI::App& app, int argc, char** argv, const std::function<ExitCode()>& body, const ErrorHooks& hooks) {
  open_closed_streams();
  ignore_file_size_signal();
  const std::string program = app.get_name();
  if (!has_working_folder()) {
    print_error(program, Error("the folder that this program was started in is not there any more: change to one that "
                               "is"));
    return static_cast<int>(ExitCode::failure);
  }
  app.set_version_flag("--version", program + " " + version_text());
  if (const std::string fault = encoding_fault_of(argc, argv); !fault.empty()) {
    print_error(program, Error(fault));
    return static_cast<int>(ExitCode::usage);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return with_output(program, app.exit(done));
  } catch (const CLI::ParseError& error) {
    print_error(program, Error(message_of(error, app) + " (see " + program + " --help)"));
    return static_cast<int>(ExitCode::usage);
  }
  if (const std::string fault = fault_of_values(app); !fault.empty()) {
    print_error(program, Error(fmt::format("{} (see {} --help)", fault, program)));
    return static_cast<int>(ExitCode::usage);
  }
  ExitCode outcome = ExitCode::success;
  const std::optional<Error> error = error_of(body, hooks, outcome);
  if (!error) {
    return with_output(program, static_cast<int>(outcome));
  }
  if (hooks.before_message) {
    hooks.before_message();
  }
  const std::string speaker = hooks.speaker ? hooks.speaker() : "";
  print_error(program,
              speaker.empty() ? *error : Error(speaker + ": " + error->what(), error->code(), error->details()));
  const int exit_code = static_cast<int>(error->code());
  if (hooks.after_message) {
    hooks.after_message(exit_code);
  }
  return exit_code;
}

void add_stall_option(CLI::App& app, std::int64_t& seconds) {
  app.add_option("--stall-seconds", seconds, "End when a file does not answer for so long; 0: never")
      ->type_name("N")
      ->check(CLI::Range(0, 31536000))
      ->capture_default_str();
}

}  // namespace xtasc
