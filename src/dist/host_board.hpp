#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "dist/mpi_session.hpp"

namespace xtasc::dist {

/// What each rank of this host is doing, in memory that the host's ranks share: readable from any thread while a peer
/// hangs and no call of MPI would return. Ranks of other hosts are not on it.
class HostBoard {
 public:
  enum class Operation : int { none, start_up, sum, broadcast, teardown };

  /// Collective. \param place  of this rank, for the table: host and GPU
  /// \throws Error when the host has no shared memory (/dev/shm)
  HostBoard(const MpiSession& session, const std::string& place);
  ~HostBoard();  // not collective: it runs on failures too
  HostBoard(const HostBoard&) = delete;
  HostBoard& operator=(const HostBoard&) = delete;

  /// This rank begins its next operation. \returns its number, from 1
  std::uint64_t begin(Operation operation, std::uint64_t num_bytes) noexcept;
  /// This rank saw its operations up to `number` end on the device.
  void finish(std::uint64_t number) noexcept;

  /// True for the first rank of the host that asks: it prints the table, the others need not.
  [[nodiscard]] bool claim_report() noexcept;

  /// "sum #57 of 4096 bytes", this rank's last.
  [[nodiscard]] std::string last_operation() const;
  /// One line for each rank of this host: its last operation, since when, and whether it ended.
  [[nodiscard]] std::vector<std::string> table() const;
  /// The ranks of this host that have begun fewest operations, if others have begun more: those that are waited for.
  [[nodiscard]] std::vector<int> ranks_behind() const;
  /// host and GPU of each rank of the world.
  [[nodiscard]] const std::vector<std::string>& places() const { return places_; }

 private:
  struct alignas(64) Entry {
    std::atomic<std::uint64_t> number, finished, num_bytes;
    std::atomic<std::int64_t> since_ns;
    std::atomic<Operation> operation;
    std::atomic<bool> is_reported;  // the first entry's speaks for the host
  };
  [[nodiscard]] static std::string describe(const Entry& entry);

  std::vector<std::string> places_;
  std::vector<int> ranks_;  // of this host, in the order of entries_
  Entry* entries_ = nullptr;
  Entry* own_ = nullptr;
};

}  // namespace xtasc::dist
