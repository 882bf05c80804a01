#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace xtasc {

/// How to start a child.
struct ProcessOptions {
  std::vector<std::string> command = {};  ///< the program, looked up in PATH, and its arguments; no shell
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< set over this process's own
  std::filesystem::path log = {};                                     ///< standard output and error are appended to it
  std::vector<int> cores = {};        ///< the child and its children run on these; empty: as this process
  std::optional<int> inherited = {};  ///< a descriptor that the child keeps open, e.g. a lock's
  int signal_when_orphaned = 0;       ///< sent to the child when this process dies; 0: none
};

/// A child process in a process group of its own, so that a terminal's Ctrl-C reaches only its parent, which decides.
/// It reads nothing. Whoever destroys this object before the child ended kills the group.
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
