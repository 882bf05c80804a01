#include "core/signals.hpp"

#include <fmt/format.h>

#include <atomic>
#include <csignal>

#include <unistd.h>

namespace xtasc {

namespace {

std::atomic<int> requested{0};
std::atomic<bool> let_go_on{false};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

extern "C" void on_stop_signal(int signal_number) {
  if (signal_number == SIGINT && requested.load() == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  requested.store(signal_number);
}

extern "C" void on_continue(int /*signal_number*/, siginfo_t* info, void* /*context*/) {
  if (info->si_pid == ::getppid()) {
    let_go_on.store(true);
  }
}

}  // namespace

void install_stop_handlers(Launcher launcher) {
  struct sigaction action = {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal_number : {SIGTERM, SIGUSR2, SIGINT, SIGHUP}) {
    struct sigaction before = {};
    sigaction(signal_number, nullptr, &before);
    if (signal_number != SIGHUP || before.sa_handler != SIG_IGN) {
      sigaction(signal_number, &action, nullptr);
    }
  }
  if (launcher == Launcher::mpirun) {
    action.sa_sigaction = on_continue;
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    sigaction(SIGCONT, &action, nullptr);
  }
}

void ignore_file_size_signal() {
  std::signal(SIGXFSZ, SIG_IGN);
}

void ignore_broken_pipes() {
  std::signal(SIGPIPE, SIG_IGN);
}

int stop_signal() noexcept {
  return requested.load();
}

void request_stop(int signal_number) noexcept {
  int none = 0;
  requested.compare_exchange_strong(none, signal_number);
}

bool was_let_go_on_by_launcher() noexcept {
  return let_go_on.exchange(false);
}

std::string signal_name(int signal_number) {
  switch (signal_number) {
    case SIGTERM:
      return "SIGTERM";
    case SIGUSR2:
      return "SIGUSR2";
    case SIGINT:
      return "SIGINT";
    case SIGHUP:
      return "SIGHUP";
    case SIGCONT:
      return "mpirun, which was asked to end";
    case kStopFile:
      return "the file STOP";
    default:
      return fmt::format("signal {}", signal_number);
  }
}

}  // namespace xtasc
