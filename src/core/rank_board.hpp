#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace xtasc {

/// What a launcher's environment says of this process, before MPI has started.
struct LaunchedAs {
  int rank = 0;
  int num_ranks = 1;       ///< 1: alone, or started by no launcher
  int num_local = 1;       ///< of them on this host; 0: the launcher does not say
  std::string job;         ///< what the ranks of a host have in common and no other job has; empty: no launcher
  bool by_mpirun = false;  ///< mpirun, or its daemon on this host, is this process's parent
};
[[nodiscard]] LaunchedAs launched_as();

/// What each rank of this host is doing, in memory that they share from their first line on: readable from any thread
/// while a peer hangs and no call of MPI would return, and before MPI has started. Ranks of other hosts are not on it.
class RankBoard {
 public:
  /// What ranks do together.
  enum class Operation : int { none, start, sum, broadcast, maximum, gather, barrier };

  /// Where there is no shared memory, this process is alone on its board. Never throws for that.
  explicit RankBoard(const LaunchedAs& launched);
  ~RankBoard();
  RankBoard(const RankBoard&) = delete;
  RankBoard& operator=(const RankBoard&) = delete;

  /// Something is done, and this begins. \param now  as it stands behind "in": "training step"; cut at 111 bytes
  /// \param number  which one; 0: there is only one
  void set_doing(std::string_view now, std::int64_t number) noexcept;
  /// An operation with the other ranks begins, and has ended. Not nested.
  void begin(Operation operation) noexcept;
  void end() noexcept;

  /// How often any rank of this host was done with something.
  [[nodiscard]] std::uint64_t num_beats() const noexcept;
  /// "training step 17": this rank's.
  [[nodiscard]] std::string doing() const;
  /// True for the first rank of the host that asks: it speaks, the others need not.
  [[nodiscard]] bool claim_report() noexcept;
  /// One line for each rank of this host: what it does, since when, and what it does with the others.
  [[nodiscard]] std::vector<std::string> table() const;
  /// Who is waited for, as far as this host can see: "rank 1 (process 4711, stopped) did not arrive". Empty: all of
  /// this host wait for others, or this rank is alone.
  [[nodiscard]] std::string who_is_missing() const;

  /// All ranks of this host have their places: nobody looks for the board any more. May be called again.
  void close_entry() noexcept;

 private:
  struct Entry;
  struct Memory;
  [[nodiscard]] std::vector<const Entry*> entries() const;
  static std::string doing_of(const Entry& entry);

  std::string name_;  ///< of the shared memory; empty: it has none, or nobody needs it any more
  int num_expected_;  ///< ranks of this host; 0: not known
  Memory* memory_ = nullptr;
  std::size_t num_bytes_ = 0;
  Entry* own_ = nullptr;
};

/// Tells the board of an operation with other ranks for as long as it lasts. \param board  nullptr: there is none
class OnBoard {
 public:
  OnBoard(RankBoard* board, RankBoard::Operation operation) noexcept : board_(board) {
    if (board_ != nullptr) {
      board_->begin(operation);
    }
  }
  ~OnBoard() {
    if (board_ != nullptr) {
      board_->end();
    }
  }
  OnBoard(const OnBoard&) = delete;
  OnBoard& operator=(const OnBoard&) = delete;

 private:
  RankBoard* board_;
};

}  // namespace xtasc
