#include "core/command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "core/error.hpp"

namespace xtasc {

namespace {

using PipeClock = std::chrono::steady_clock;

/// Both ends of a pipe, closed with it and not inherited.
struct Pipe {
  Pipe() { check(::pipe2(ends.data(), O_CLOEXEC) == 0, "cannot make a pipe: {}", errno_text(errno)); }
  ~Pipe() {
    close(0);
    close(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close(std::size_t end) {
    if (ends[end] >= 0) {
      ::close(ends[end]);
      ends[end] = -1;
    }
  }

  std::array<int, 2> ends = {-1, -1};
};

[[noreturn]] void become(const std::vector<std::string>& words, const Pipe& output, const Pipe& errors,
                         const Pipe& failure, int inherited) {
  std::vector<char*> arguments;
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  ::setpgid(0, 0);
  ::dup2(output.ends[1], STDOUT_FILENO);
  ::dup2(errors.ends[1], STDERR_FILENO);
  if (const int nothing = ::open("/dev/null", O_RDONLY); nothing >= 0) {
    ::dup2(nothing, STDIN_FILENO);
  }
  if (inherited >= 0) {
    ::fcntl(inherited, F_SETFD, 0);
  }
  ::execvp(arguments[0], arguments.data());
  const int reason = errno;
  static_cast<void>(!::write(failure.ends[1], &reason, sizeof(reason)));
  ::_exit(127);
}

/// Appends what is there to read. \returns false at its end
bool read_some(int fd, std::string& text) {
  std::array<char, 65536> buffer{};
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return got > 0 || (got < 0 && errno == EINTR);
}

/// Reads both pipes until the command closed them. \returns false when time was up before
bool read_all(Pipe& output, Pipe& errors, CommandResult& result, PipeClock::time_point deadline) {
  while (output.ends[0] >= 0 || errors.ends[0] >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - PipeClock::now()).count();
    if (left <= 0) {
      return false;
    }
    std::array<pollfd, 2> polled = {pollfd{output.ends[0], POLLIN, 0}, pollfd{errors.ends[0], POLLIN, 0}};
    if (::poll(polled.data(), polled.size(), static_cast<int>(std::min<std::int64_t>(left, 1000))) < 0) {
      continue;  // a signal: look at the clock again
    }
    if (polled[0].revents != 0 && !read_some(output.ends[0], result.output)) {
      output.close(0);
    }
    if (polled[1].revents != 0 && !read_some(errors.ends[0], result.errors)) {
      errors.close(0);
    }
  }
  return true;
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& words, std::chrono::seconds timeout, int inherited) {
  const PipeClock::time_point deadline = PipeClock::now() + timeout;
  Pipe output, errors, failure;
  const pid_t pid = ::fork();
  check(pid >= 0, "cannot start {}: {}", words.front(), errno_text(errno));
  if (pid == 0) {
    become(words, output, errors, failure, inherited);
  }
  output.close(1);
  errors.close(1);
  failure.close(1);
  int reason = 0;
  const bool has_failed = ::read(failure.ends[0], &reason, sizeof(reason)) == sizeof(reason);
  CommandResult result;
  if (!has_failed && !read_all(output, errors, result, deadline)) {
    result.timed_out = true;
    ::kill(-pid, SIGKILL);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  check(!has_failed, "cannot start {}: {}", words.front(), errno_text(reason));
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace xtasc
