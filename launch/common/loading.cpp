#include "launch/common/loading.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

#include "core/error.hpp"
#include "core/standard_streams.hpp"

namespace xtasc::launch {

namespace {

sigset_t mask_before;  // NOLINT: no constructor has run yet

void say(const char* text) {
  static_cast<void>(!::write(STDERR_FILENO, text, std::strlen(text)));
}

[[noreturn]] void end(const char* program, const char* error, ExitCode code) {
  const char* slash = std::strrchr(program, '/');
  say(slash == nullptr ? program : slash + 1);
  say(": error: ");
  say(error);
  ::_exit(static_cast<int>(code));
}

/// What libraries take to start, MPI's among them, ends them in ways of their own where it is not there.
bool has_memory_to_start() {
  constexpr std::size_t kBytes = std::size_t{256} << 20;
  void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory != MAP_FAILED && ::munmap(memory, kBytes) == 0;
}

/// Libraries take it for granted, and a stack that ends is a crash without a word.
bool has_stack_to_run() {
  constexpr rlim_t kBytes = rlim_t{512} << 10;
  rlimit limit{};
  return ::getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= kBytes;
}

/// Only calls of the system: nothing else has been set up. The libraries of numbers end a program without a working
/// folder, with words of their own.
void begin_loading(int /*count*/, char** arguments, char** /*environment*/) {
  open_closed_streams();
  std::array<char, PATH_MAX> folder;
  if (::getcwd(folder.data(), folder.size()) == nullptr && errno == ENOENT) {
    end(arguments[0], "the folder that this program was started in is not there any more: change to one that is\n",
        ExitCode::failure);
  }
  if (!has_memory_to_start()) {
    end(arguments[0],
        "out of memory on the host: its libraries are loaded, and 256 MiB more, without which nothing starts, are not "
        "to be had (ulimit -d, ulimit -v, a container's or job's limit)\n",
        ExitCode::out_of_memory);
  }
  if (!has_stack_to_run()) {
    end(arguments[0], "a stack of less than 512 KiB does not suffice: raise ulimit -s\n", ExitCode::failure);
  }
  sigset_t stops;
  sigemptyset(&stops);
  for (const int signal_number : {SIGTERM, SIGUSR2, SIGINT, SIGHUP}) {
    sigaddset(&stops, signal_number);
  }
  ::sigprocmask(SIG_BLOCK, &stops, &mask_before);
}

/// Of a program, not of a library: called before the constructors of all libraries.
/// https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html (DT_PREINIT_ARRAY)
[[gnu::section(".preinit_array"), gnu::used]] void (*const kBeforeConstructors)(int, char**, char**) = begin_loading;

}  // namespace

void end_loading() noexcept {
  ::sigprocmask(SIG_SETMASK, &mask_before, nullptr);
}

}  // namespace xtasc::launch
