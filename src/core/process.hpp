#pragma once

#include <sys/types.h>

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xtasc {

/// A pipe, closed with this object and at exec.
class Pipe {
 public:
  /// \throws Error with the system's reason
  Pipe();
  ~Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  [[nodiscard]] int reader() const { return ends_[0]; }  ///< -1 once closed, as writer()
  [[nodiscard]] int writer() const { return ends_[1]; }
  void close_reader() noexcept { close(ends_[0]); }
  void close_writer() noexcept { close(ends_[1]); }

 private:
  static void close(int& end) noexcept;
  std::array<int, 2> ends_ = {-1, -1};
};

/// How to start a child.
struct ProcessOptions {
  std::vector<std::string> command = {};  ///< the program, looked up in PATH, and its arguments; no shell
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< set over this process's own
  std::vector<std::string> without = {};  ///< of this process's own variables, those that begin so are left out
  std::filesystem::path folder = {};      ///< where it runs; empty: where this process does
  std::filesystem::path log = {};     ///< what it writes is appended to this file, where no descriptor is given for it
  std::optional<int> input = {};      ///< a descriptor that it reads, as a pipe's; absent: it reads nothing
  std::optional<int> output = {};     ///< a descriptor for its standard output; absent: `log`, or else this process's
  std::optional<int> errors = {};     ///< as `output`, for its standard error
  std::vector<int> cores = {};        ///< the child and its children run on these; empty: as this process
  std::optional<int> inherited = {};  ///< a descriptor that the child keeps open, e.g. a lock's
  int signal_when_orphaned = 0;       ///< sent to the child when this process dies; 0: none
  std::string if_missing = {};        ///< the error's text where there is no such program; empty: the system's reason
};

/// Throws Error where this process, or one that it starts, may open fewer than `needed` files beside those that are.
/// \param what_then  the error's beginning: "MPI cannot start"
void check_can_open(std::size_t needed, std::string_view what_then);

/// A child process, the only way in which this software starts a program, in a process group of its own: a terminal's
/// Ctrl-C reaches only its parent, which decides. Whoever destroys this object before the child ended kills the group.
class Process {
 public:
  /// \throws Error naming the program and the system's reason
  explicit Process(const ProcessOptions& options);
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// The exit code if it has ended (128 + signal where a signal ended it), else nullopt. Never waits.
  [[nodiscard]] std::optional<int> poll();
  /// Waits for its end. \returns the exit code, as poll()
  int wait();
  /// To the child itself: a launcher passes it on to its ranks.
  void signal(int signal_number);
  /// SIGKILL to all of the group.
  void kill_group();
  [[nodiscard]] pid_t id() const { return id_; }

 private:
  pid_t id_ = -1;
  std::optional<int> exit_code_;
};

/// The cores that this process may run on.
[[nodiscard]] std::vector<int> allowed_cores();

}  // namespace xtasc
