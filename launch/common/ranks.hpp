#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/cli.hpp"
#include "core/error.hpp"
#include "core/program_watch.hpp"
#include "dist/mpi_session.hpp"

namespace xtasc::launch {

/// What a program of ranks owns from the first line of its main to the last: the watch over it, and MPI.
class Ranks {
 public:
  /// \param options  its limit is that of run.stall_seconds until a config says another, unless it is set
  explicit Ranks(ProgramWatch::Options options);

  /// Starts MPI; rank 0 alone logs from now on.
  const dist::MpiSession& start(int* argc, char*** argv);
  [[nodiscard]] ProgramWatch& watch() { return watch_; }
  /// Empty until MPI has started.
  [[nodiscard]] const std::optional<dist::MpiSession>& session() const { return session_; }

  /// rank_error_hooks() of these ranks; a lack of memory is told with what was being done.
  [[nodiscard]] ErrorHooks error_hooks(std::function<std::optional<Error>(const std::exception&)> translate = {});

 private:
  ProgramWatch watch_;
  std::optional<dist::MpiSession> session_;  ///< ends before the watch
};

/// Takes the limit that is among a command line's assignments ("section.key=value") before a config is read for it:
/// that file may be what does not answer. What is wrong with an assignment is told by who reads it.
void take_limit_of(const std::vector<std::string>& assignments, ProgramWatch& watch);

}  // namespace xtasc::launch
