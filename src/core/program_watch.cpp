#include "core/program_watch.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <system_error>
#include <thread>
#include <utility>

#include "core/host.hpp"
#include "core/host_memory.hpp"
#include "core/log.hpp"
#include "core/signals.hpp"

namespace xtasc {

namespace {

using std::chrono::milliseconds;

/// Ten times a second: a signal is answered at once, for a person, and nobody notices what that costs.
constexpr milliseconds kTick{100};
constexpr milliseconds kSecond{1000};

}  // namespace

ProgramWatch::ProgramWatch(Options options)
    : options_(std::move(options)),
      launched_(launched_as()),
      board_(launched_),
      limit_ms_(milliseconds(options_.limit).count()),
      silence_(kTick) {
  install_stop_handlers(launched_.by_mpirun ? Launcher::mpirun : Launcher::other);
  try {
    lookout_.emplace(kTick, [this] { return look(); });
  } catch (const std::system_error& error) {  // whoever needs a thread for the work itself will fail on it
    log_warning("no thread to watch over the program: {}", error.code().message());
  }
}

void ProgramWatch::beat(std::string_view now, std::int64_t number) noexcept {
  is_resting_.store(false, std::memory_order_relaxed);
  board_.set_doing(now, number);
}

void ProgramWatch::rest() noexcept {
  is_resting_.store(true, std::memory_order_relaxed);
}

void ProgramWatch::set_limit(std::chrono::seconds limit, const char* key) noexcept {
  limit_key_.store(key, std::memory_order_relaxed);
  limit_ms_.store(milliseconds(limit).count(), std::memory_order_relaxed);
}

void ProgramWatch::leave_stops_to_program(std::string tell) {
  tell_ = std::move(tell);
  is_left_to_program_.store(true, std::memory_order_release);
}

std::string ProgramWatch::speaker() const {
  return launched_.num_ranks > 1 ? fmt::format("rank {} on {}: ", launched_.rank, this_host()) : "";
}

bool ProgramWatch::look() {
  const bool is_resting = is_resting_.load(std::memory_order_relaxed);
  const milliseconds silence = silence_.look(board_.num_beats());
  if (++num_looks_ % (kSecond / kTick) == 0) {
    renew_memory_bound();
  }
  look_for_stop(silence_.since_last_look());
  const milliseconds limit(limit_ms_.load(std::memory_order_relaxed));
  if (is_resting) {
    silence_.begin();
  } else if (limit.count() > 0 && silence >= limit) {
    end_as_it_hangs();
  }
  return true;
}

void ProgramWatch::look_for_stop(milliseconds since_last_look) {
  const bool is_left = is_left_to_program_.load(std::memory_order_acquire);
  // A rank that was stopped until now has only been let go on; and what has nothing to save waits for the end itself.
  if (was_let_go_on_by_launcher() && since_last_look < 5 * kTick && is_left) {
    request_stop(SIGCONT);
  }
  const int reason = stop_signal();
  if (reason == 0) {
    return;
  }
  if (is_left) {
    if (!std::exchange(was_told_, true) && !tell_.empty()) {
      log_info("{}: {}", signal_name(reason), tell_);
    }
    return;
  }
  if (since_stop_ < options_.stop_patience) {
    since_stop_ += kTick;
    return;
  }
  end_with(fmt::format("{}: stopped by {} in {}{}{}\n", options_.program, signal_name(reason), board_.doing(),
                       options_.advice.empty() ? "" : "; ", options_.advice),
           launched_.rank == 0,  // one for all: a launcher ends them together
           options_.when_stopped ? static_cast<int>(*options_.when_stopped) : 128 + reason);
}

void ProgramWatch::end_as_it_hangs() {
  const auto seconds = limit_ms_.load() / 1000;
  const char* key = limit_key_.load();
  const std::string missing = board_.who_is_missing();
  const bool is_alone = launched_.num_ranks == 1;
  const std::string why = !missing.empty() ? missing
                          : is_alone || launched_.num_local == launched_.num_ranks
                              ? "a file system or a device does not answer"
                              : "a rank of another host, the network or a file system hangs";
  std::string text =
      fmt::format("{}: error: {}nothing got done for {} s in {} (since {:%H:%M:%S} UTC): {}{}; ending{}{}\n",
                  options_.program, speaker(), seconds, board_.doing(), fmt::gmtime(std::time(nullptr) - seconds), why,
                  key == nullptr ? "" : fmt::format(", or {} = {} is too short for it", key, seconds),
                  options_.advice.empty() ? "" : ", ", options_.advice);
  for (const std::string& line : is_alone ? std::vector<std::string>() : board_.table()) {
    text += fmt::format("  {}\n", line);
  }
  end_with(text, true, static_cast<int>(options_.when_it_hangs));
}

void ProgramWatch::end_with(const std::string& text, bool may_speak, int exit_code) {
  board_.close_entry();  // before anybody kills this process
  // The other ranks of this host see the same, and those of other hosts, who end with this one, are to speak too.
  if (may_speak && board_.claim_report()) {
    static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
    const bool has_other_hosts = launched_.num_ranks > std::max(launched_.num_local, 1);
    std::this_thread::sleep_for(has_other_hosts ? 2 * kSecond : milliseconds(0));
  } else {
    std::this_thread::sleep_for(may_speak ? 3 * kSecond : kSecond);
  }
  std::_Exit(exit_code);
}

}  // namespace xtasc
