#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/rank_board.hpp"

namespace xtasc::dist {

/// A return code of MPI, for check().
struct MpiCode {
  int value;
};

/// \throws Error "what: MPI's own words" unless the code is MPI_SUCCESS.
void check(MpiCode code, std::string_view what);

/// Owns MPI from MPI_Init to MPI_Finalize; `main` makes it first, so that it dies last. Also the control plane: small
/// agreements between hosts, never tensors. They travel apart from tensors, so that the message of a rank that failed
/// is never taken for a part of a sum.
class MpiSession {
 public:
  /// \param board  is told of every operation with the other ranks; nullptr: none \throws Error when MPI cannot start,
  /// or when the launcher promised another number of ranks than MPI sees (`srun` without --mpi=pmix silently starts
  /// that many runs of one rank each)
  MpiSession(int* argc, char*** argv, RankBoard* board = nullptr);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }
  /// This rank's place among the ranks of the same host, and how many they are.
  [[nodiscard]] int local_rank() const { return local_rank_; }
  [[nodiscard]] int local_size() const { return local_size_; }
  /// The first rank of this host, of all the world's: what tells hosts apart. Their names do not: containers on two
  /// machines may have one.
  [[nodiscard]] int host_leader() const { return host_leader_; }
  [[nodiscard]] RankBoard* board() const { return board_; }

  /// The largest value over all ranks. Collective.
  [[nodiscard]] std::int64_t max(std::int64_t value) const;
  /// One text from each rank, in order of rank, on every rank. Collective.
  [[nodiscard]] std::vector<std::string> gather(const std::string& text) const;
  /// Rank 0's text, on every rank. Collective.
  [[nodiscard]] std::string broadcast(std::string text) const;
  /// Collective.
  void barrier() const;
  /// The same; who waits sleeps and leaves the processor to the others. Costs up to a millisecond. Collective.
  void sleeping_barrier() const;

  /// Ends all ranks at once with this exit code: called by the rank that failed, so that no peer hangs.
  [[noreturn]] void abort(int exit_code) const noexcept;

 private:
  RankBoard* board_;
  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
  int host_leader_ = 0;
  struct Control;
  std::unique_ptr<Control> control_;
};

/// This machine's name, for messages: it need not be the only one of that name.
[[nodiscard]] std::string host_name();

/// "Open MPI 4.1.4", as loaded.
[[nodiscard]] std::string mpi_library_version();

}  // namespace xtasc::dist
