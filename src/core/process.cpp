#include "core/process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <map>
#include <utility>

#include "core/error.hpp"

extern char** environ;  // NOLINT: POSIX's name

namespace xtasc {

namespace {

std::vector<std::string> environment_of(const ProcessOptions& options) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (std::ranges::any_of(options.without, [&](const std::string& prefix) { return text.starts_with(prefix); })) {
      continue;
    }
    variables[text.substr(0, equals)] = equals == std::string::npos ? "" : text.substr(equals + 1);
  }
  for (const auto& [name, value] : options.environment) {
    variables[name] = value;
  }
  std::vector<std::string> result;
  result.reserve(variables.size());
  for (const auto& [name, value] : variables) {
    result.push_back(fmt::format("{}={}", name, value));
  }
  return result;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

/// Where the child failed, and the system's reason: what it tells its parent before it ends.
struct Failure {
  enum Step : int { setup, folder, log, program } step = setup;
  int reason = 0;
};

/// All that the child needs, made before the fork: between fork and exec only async-signal-safe calls are allowed.
struct Prepared {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  const char* folder;                         ///< nullptr: none
  const char* log;                            ///< nullptr: none
  std::array<std::optional<int>, 3> streams;  ///< of its standard input, output and error
  const cpu_set_t* cores;                     ///< nullptr: any
  int inherited;                              ///< -1: none
  int signal_when_orphaned;
  pid_t parent;
};

/// Opens `path` as the child's standard streams `first` to `last`, where no other descriptor is given for them.
bool open_streams(const Prepared& prepared, const char* path, int flags, int first, int last) {
  const int opened = ::open(path, flags, 0666);
  if (opened < 0) {
    return false;
  }
  for (int stream = first; stream <= last; ++stream) {
    if (!prepared.streams[static_cast<std::size_t>(stream)] && ::dup2(opened, stream) < 0) {
      return false;
    }
  }
  if (opened > STDERR_FILENO) {
    ::close(opened);
  }
  return true;
}

/// The child's way from fork to exec. Returns only when something failed, errno saying what. \returns where
Failure::Step become(const Prepared& prepared) {
  if (::setpgid(0, 0) != 0) {
    return Failure::setup;
  }
  if (prepared.signal_when_orphaned != 0 &&
      (::prctl(PR_SET_PDEATHSIG, prepared.signal_when_orphaned) != 0 || ::getppid() != prepared.parent)) {
    errno = ESRCH;  // the parent died before the signal was set
    return Failure::setup;
  }
  if (prepared.cores != nullptr && ::sched_setaffinity(0, sizeof(*prepared.cores), prepared.cores) != 0) {
    return Failure::setup;
  }
  if (!open_streams(prepared, "/dev/null", O_RDONLY, STDIN_FILENO, STDIN_FILENO)) {
    return Failure::setup;
  }
  if (prepared.log != nullptr &&
      !open_streams(prepared, prepared.log, O_WRONLY | O_CREAT | O_APPEND, STDOUT_FILENO, STDERR_FILENO)) {
    return Failure::log;
  }
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    const auto& given = prepared.streams[static_cast<std::size_t>(stream)];
    if (given && ::dup2(*given, stream) < 0) {
      return Failure::setup;
    }
  }
  if (prepared.inherited >= 0 && ::fcntl(prepared.inherited, F_SETFD, 0) != 0) {
    return Failure::setup;
  }
  if (prepared.folder != nullptr && ::chdir(prepared.folder) != 0) {
    return Failure::folder;
  }
  for (const int number : {SIGTERM, SIGUSR2, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ}) {
    ::signal(number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  environ = const_cast<char**>(prepared.environment.data());  // NOLINT: as execvp takes it
  ::execvp(prepared.arguments.front(), prepared.arguments.data());
  return Failure::program;
}

[[noreturn]] void fail_to_start(const ProcessOptions& options, const Failure& failure) {
  const std::string& program = options.command.front();
  const std::string reason = errno_text(failure.reason);
  switch (failure.step) {
    case Failure::folder:
      fail("cannot start {} in {}: {}", program, options.folder.string(), reason);
    case Failure::log:
      fail("cannot start {}, whose output goes to {}: {}", program, options.log.string(), reason);
    case Failure::program:
      check(failure.reason != ENOENT || options.if_missing.empty(), "{}", options.if_missing);
      break;
    case Failure::setup:
      break;
  }
  fail("cannot start {}: {}", program, reason);
}

int exit_code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

void check_can_open(std::size_t needed, std::string_view what_then) {
  std::vector<int> opened;
  while (opened.size() < needed) {
    const int copy = ::dup(STDERR_FILENO);
    if (copy < 0) {
      break;
    }
    opened.push_back(copy);
  }
  const int reason = errno;
  std::ranges::for_each(opened, ::close);
  check(opened.size() == needed || reason == EBADF,  // a closed standard error cannot be copied
        "{}: this process may open {} files more, {} are needed ({}; ulimit -n)", what_then, opened.size(), needed,
        errno_text(reason));
}

Pipe::Pipe() {
  const bool is_made = ::pipe2(ends_.data(), O_CLOEXEC) == 0;
  check(is_made, "cannot make a pipe: {}", errno_text(errno));
  for (int& end : ends_) {
    if (end <= STDERR_FILENO) {  // where this process's own are closed; a child's streams are put there
      const int low = std::exchange(end, ::fcntl(end, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
      ::close(low);
    }
  }
}

Pipe::~Pipe() {
  close_reader();
  close_writer();
}

void Pipe::close(int& end) noexcept {
  if (end >= 0) {
    ::close(std::exchange(end, -1));
  }
}

Process::Process(const ProcessOptions& options) {
  check(!options.command.empty(), "no program to start");
  std::vector<std::string> command = options.command;
  std::vector<std::string> environment = environment_of(options);
  cpu_set_t cores;
  CPU_ZERO(&cores);
  for (const int core : options.cores) {
    CPU_SET(static_cast<std::size_t>(core), &cores);
  }
  const Prepared prepared{.arguments = pointers_to(command),
                          .environment = pointers_to(environment),
                          .folder = options.folder.empty() ? nullptr : options.folder.c_str(),
                          .log = options.log.empty() ? nullptr : options.log.c_str(),
                          .streams = {options.input, options.output, options.errors},
                          .cores = options.cores.empty() ? nullptr : &cores,
                          .inherited = options.inherited.value_or(-1),
                          .signal_when_orphaned = options.signal_when_orphaned,
                          .parent = ::getpid()};
  Pipe told;  // closed by exec; before, the child tells through it why it could not start
  id_ = ::fork();
  if (id_ < 0) {
    fail("cannot start {}: {}", options.command.front(), errno_text(errno));
  }
  if (id_ == 0) {
    Failure failure;
    failure.step = become(prepared);
    failure.reason = errno;
    static_cast<void>(::write(told.writer(), &failure, sizeof(failure)) > 0);
    ::_exit(127);
  }
  static_cast<void>(::setpgid(id_, id_));  // in the child too: whoever comes first
  told.close_writer();
  Failure failure;
  ssize_t count = 0;
  do {
    count = ::read(told.reader(), &failure, sizeof(failure));  // ends at the child's exec
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(sizeof(failure))) {
    wait();
    fail_to_start(options, failure);
  }
}

Process::~Process() {
  if (id_ > 0 && !exit_code_) {
    kill_group();
    wait();
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
    exit_code_ = exit_code_of(status);
  }
  return exit_code_;
}

int Process::wait() {
  int status = 0;
  while (!exit_code_) {
    if (::waitpid(id_, &status, 0) == id_) {
      exit_code_ = exit_code_of(status);
    } else if (errno != EINTR) {  // whoever took its end away knows the code
      exit_code_ = 127;
    }
  }
  return *exit_code_;
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
