#include "core/process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <map>
#include <utility>

#include "core/error.hpp"

extern char** environ;  // NOLINT: POSIX's name

namespace xtasc {

namespace {

/// Two ends of a pipe that exec closes: through it the child tells why it could not start.
struct Pipe {
  std::array<int, 2> ends{};
  Pipe() {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      fail("cannot make a pipe: {}", errno_text(errno));
    }
  }
  ~Pipe() {
    close(0);
    close(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  void close(std::size_t end) {
    if (ends[end] >= 0) {
      ::close(std::exchange(ends[end], -1));
    }
  }
};

std::vector<std::string> environment_of(const ProcessOptions& options) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    variables[text.substr(0, equals)] = equals == std::string::npos ? "" : text.substr(equals + 1);
  }
  for (const auto& [name, value] : options.environment) {
    variables[name] = value;
  }
  std::vector<std::string> result;
  for (const auto& [name, value] : variables) {
    result.push_back(fmt::format("{}={}", name, value));
  }
  return result;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

/// All that the child needs, made before the fork: between fork and exec only async-signal-safe calls are allowed.
struct Prepared {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  const char* log;
  cpu_set_t cores;
  bool has_cores;
  int inherited;
  int signal_when_orphaned;
  pid_t parent;
  int failure_pipe;
};

/// The child's way from fork to exec. Returns only when something failed, errno saying what.
void become(const Prepared& prepared) {
  if (::setpgid(0, 0) != 0) {
    return;
  }
  if (prepared.signal_when_orphaned != 0 &&
      (::prctl(PR_SET_PDEATHSIG, prepared.signal_when_orphaned) != 0 || ::getppid() != prepared.parent)) {
    errno = ESRCH;  // the parent died before the signal was set
    return;
  }
  if (prepared.has_cores && ::sched_setaffinity(0, sizeof(prepared.cores), &prepared.cores) != 0) {
    return;
  }
  const int input = ::open("/dev/null", O_RDONLY);
  const int log = ::open(prepared.log, O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (input < 0 || log < 0 || ::dup2(input, STDIN_FILENO) < 0 || ::dup2(log, STDOUT_FILENO) < 0 ||
      ::dup2(log, STDERR_FILENO) < 0) {
    return;
  }
  for (const int opened : {input, log}) {
    if (opened > STDERR_FILENO) {
      ::close(opened);
    }
  }
  if (prepared.inherited >= 0 && ::fcntl(prepared.inherited, F_SETFD, 0) != 0) {
    return;
  }
  for (const int number : {SIGTERM, SIGUSR2, SIGINT, SIGHUP}) {
    ::signal(number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  environ = const_cast<char**>(prepared.environment.data());
  ::execvp(prepared.arguments.front(), prepared.arguments.data());
}

}  // namespace

Process::Process(const ProcessOptions& options) {
  check(!options.command.empty(), "no program to start");
  std::vector<std::string> command = options.command;
  std::vector<std::string> environment = environment_of(options);
  const std::string log = options.log.string();
  Pipe failure;
  Prepared prepared{.arguments = pointers_to(command),
                    .environment = pointers_to(environment),
                    .log = log.c_str(),
                    .cores = {},
                    .has_cores = !options.cores.empty(),
                    .inherited = options.inherited.value_or(-1),
                    .signal_when_orphaned = options.signal_when_orphaned,
                    .parent = ::getpid(),
                    .failure_pipe = failure.ends[1]};
  CPU_ZERO(&prepared.cores);
  for (const int core : options.cores) {
    CPU_SET(static_cast<std::size_t>(core), &prepared.cores);
  }
  id_ = ::fork();
  if (id_ < 0) {
    fail("cannot start {}: {}", options.command.front(), errno_text(errno));
  }
  if (id_ == 0) {
    become(prepared);
    const int reason = errno;
    static_cast<void>(::write(prepared.failure_pipe, &reason, sizeof(reason)) > 0);
    ::_exit(127);
  }
  static_cast<void>(::setpgid(id_, id_));  // in the child too: whoever comes first
  failure.close(1);
  int reason = 0;
  ssize_t count = 0;
  do {
    count = ::read(failure.ends[0], &reason, sizeof(reason));  // ends at the child's exec
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(sizeof(reason))) {
    ::waitpid(id_, nullptr, 0);
    id_ = -1;
    fail("cannot start {}: {}", options.command.front(), errno_text(reason));
  }
}

Process::~Process() {
  if (id_ > 0 && !exit_code_) {
    kill_group();
    ::waitpid(id_, nullptr, 0);
  }
}

Process::Process(Process&& other) noexcept
    : id_(std::exchange(other.id_, -1)), exit_code_(std::exchange(other.exit_code_, std::nullopt)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(exit_code_, other.exit_code_);
  return *this;
}

std::optional<int> Process::poll() {
  int status = 0;
  if (!exit_code_ && ::waitpid(id_, &status, WNOHANG) == id_) {
    exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  return exit_code_;
}

void Process::signal(int signal_number) {
  if (!exit_code_) {
    ::kill(id_, signal_number);
  }
}

void Process::kill_group() {
  if (!exit_code_) {
    ::kill(-id_, SIGKILL);
  }
}

std::vector<int> allowed_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(static_cast<std::size_t>(core), &allowed)) {
        cores.push_back(core);
      }
    }
  }
  return cores;
}

}  // namespace xtasc
