#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/rank_board.hpp"
#include "core/watchdog.hpp"

namespace xtasc {

/// Watches over a program from the first line of its main: ends it, with one line on standard error, when nothing gets
/// done any more (a peer that hangs in a collective call, a file system that does not answer: neither MPI nor Slurm
/// notices), and when it is asked to stop while nobody looks for that. A thread of its own, since the program's may
/// hang. All of its words go straight to the descriptor: the thread that hangs may hold a stream's lock.
class ProgramWatch {
 public:
  struct Options {
    std::string program;            ///< as in its errors: "xtasc-train"
    std::chrono::seconds limit{0};  ///< without anything done; 0: for ever
    /// SIGTERM, SIGINT, SIGUSR2 and SIGHUP (unless it is ignored, as under nohup) end the program with one line,
    /// wherever it is, where it has not ended by itself after so long; until leave_stops_to_program().
    std::chrono::milliseconds stop_patience{0};
    ExitCode when_it_hangs = ExitCode::failure;
    std::optional<ExitCode> when_stopped = {};  ///< absent: 128 and the signal's number, as a shell has it
    std::string advice = {};                    ///< what its line ends with: "the same command resumes"; empty: nothing
  };
  explicit ProgramWatch(Options options);
  ProgramWatch(const ProgramWatch&) = delete;
  ProgramWatch& operator=(const ProgramWatch&) = delete;

  /// Something is done, and this begins. Time in which the whole process was stopped counts as a moment.
  /// \param now  "training step"; \param number  which one; 0: there is only one
  void beat(std::string_view now, std::int64_t number = 0) noexcept;
  /// There is nothing to do, or nobody knows how long it may take, until the next beat.
  void rest() noexcept;
  /// \param key  a literal, what sets the limit: "run.stall_seconds"
  void set_limit(std::chrono::seconds limit, const char* key) noexcept;
  /// The program looks for stop_signal() itself from now on, and ends when it can. \param tell  what is logged when a
  /// signal comes, so that a person knows that it did: "a checkpoint after this step"
  void leave_stops_to_program(std::string tell);

  /// Who speaks: "rank 3 on n2: ", of several ranks; else empty.
  [[nodiscard]] std::string speaker() const;
  [[nodiscard]] const LaunchedAs& launched() const { return launched_; }
  [[nodiscard]] RankBoard& board() { return board_; }

 private:
  [[nodiscard]] bool look();
  void look_for_stop(std::chrono::milliseconds since_last_look);
  [[noreturn]] void end_as_it_hangs();
  [[noreturn]] void end_with(const std::string& text, bool may_speak, int exit_code);

  const Options options_;
  const LaunchedAs launched_;
  RankBoard board_;
  std::atomic<std::int64_t> limit_ms_;
  std::atomic<const char*> limit_key_{nullptr};
  std::atomic<bool> is_resting_{false}, is_left_to_program_{false};
  std::string tell_;  ///< before is_left_to_program_ it is not read, behind it not written

  // The thread's own.
  Silence silence_;
  std::chrono::milliseconds since_stop_{0};
  bool was_told_ = false;
  std::uint64_t num_looks_ = 0;
  std::optional<Lookout> lookout_;  ///< last: its thread uses the others
};

}  // namespace xtasc
