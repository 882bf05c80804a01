#include "core/signals.hpp"

#include <fmt/format.h>

#include <atomic>
#include <csignal>

namespace xtasc {

namespace {

std::atomic<int> requested{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

extern "C" void on_stop_signal(int signal_number) {
  if (signal_number == SIGINT && requested.load() == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  requested.store(signal_number);
}

}  // namespace

void install_stop_handlers() {
  struct sigaction action = {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal_number : {SIGTERM, SIGUSR2, SIGINT}) {
    sigaction(signal_number, &action, nullptr);
  }
}

int stop_signal() noexcept {
  return requested.load();
}

std::string signal_name(int signal_number) {
  switch (signal_number) {
    case SIGTERM:
      return "SIGTERM";
    case SIGUSR2:
      return "SIGUSR2";
    case SIGINT:
      return "SIGINT";
    case kStopFile:
      return "the file STOP";
    default:
      return fmt::format("signal {}", signal_number);
  }
}

}  // namespace xtasc
