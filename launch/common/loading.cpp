#include "launch/common/loading.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

namespace xtasc::launch {

namespace {

sigset_t mask_before;  // NOLINT: no constructor has run yet

void say(const char* text) {
  static_cast<void>(!::write(STDERR_FILENO, text, std::strlen(text)));
}

/// Only calls of the system: nothing else has been set up. The libraries of numbers end a program without a working
/// folder, with words of their own.
void begin_loading(int /*count*/, char** arguments, char** /*environment*/) {
  std::array<char, PATH_MAX> folder;
  if (::getcwd(folder.data(), folder.size()) == nullptr && errno == ENOENT) {
    const char* slash = std::strrchr(arguments[0], '/');
    say(slash == nullptr ? arguments[0] : slash + 1);
    say(": error: the folder that this program was started in is not there any more: change to one that is\n");
    ::_exit(1);
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
