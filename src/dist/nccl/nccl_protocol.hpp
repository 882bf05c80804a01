#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "core/error.hpp"
#include "core/watchdog.hpp"
#include "dist/host_board.hpp"
#include "dist/mpi_session.hpp"
#include "dist/nccl/nccl_environment.hpp"
#include "dist/nccl/nccl_lane.hpp"

namespace xtasc::dist {

enum class NcclElement { float32, float64, int64 };

/// Dense device memory, summed or filled in place.
struct NcclBuffer {
  void* data;
  std::size_t count;
  NcclElement element;
};

/// Limits, and what a test may shorten.
struct NcclOptions {
  /// How long start-up, teardown and any one operation may take.
  std::chrono::milliseconds timeout = std::chrono::minutes(10);
  /// How often the watchdog looks.
  std::chrono::milliseconds watch_interval = std::chrono::seconds(1);
  /// What NCCL is to find in its environment, where the user has set nothing else.
  Variables variables = {};
  /// Called from the watchdog's thread, once, when an operation failed or took too long while the host did something
  /// else, and from the destructor when teardown fails. Should end the process: the device's numbers are not to be
  /// trusted any more, and the host may wait for them for ever.
  std::function<void(const Error&)> on_failure;
};

/// Prints the error of a rank whose host may be stuck, gives the other hosts' ranks two seconds to print theirs, and
/// ends all ranks with exit code 1. What NcclOptions::on_failure is in the product; may be called from any thread.
[[noreturn]] void end_all_ranks(const MpiSession& session, const Error& error);

/// NCCL's own streams on this rank's GPU, which outlive what uses them.
struct NcclStreams {
  CUstream_st* prompt;  ///< for small sums that the step waits for
  CUstream_st* bulk;    ///< for all else
};

/// How NCCL is used, on raw pointers and streams: no tensor is known here, so that the test can link it with a double
/// of NCCL and CUDA. Not run on a GPU yet.
///
/// There are two communicators, each with its stream. Sums of up to 64 KiB that the caller waits for take one of them,
/// and everything else the other: no sum of batch norm's waits for a bucket of gradients that backward started. NCCL's
/// kernels of both begin in the order of the calls, which is the same on all ranks (NCCL_LAUNCH_ORDER_IMPLICIT).
///
/// The communicators are blocking ones: with others NCCL starts a thread for each group. So what waits for peers on the
/// host, starting and ending, is called in a thread of its own, and given up after `timeout`. An error is thrown as
/// soon as it is known, with this rank, what was in flight and what each rank of the host did last. A watchdog thread
/// polls for asynchronous errors, for operations that do not end and for calls that do not return, since the host may
/// be waiting for something else; it calls `on_failure`.
///
/// Sources: https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/usage/communicators.html (fault tolerance,
/// finalizing) and https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/api/comms.html
class NcclProtocol {
 public:
  /// Collective. Its id travels over MPI.
  /// \param device  of the streams, made current by the caller
  /// \param place   host and GPU of this rank, for messages
  /// \throws Error when the library is older than its header, or start-up fails or takes longer than the timeout
  NcclProtocol(const MpiSession& session, int device, const std::string& place, const NcclStreams& streams,
               NcclOptions options);
  /// Healthy: waits for the streams, finalizes, destroys; collective. After a failure, or while an exception passes:
  /// aborts, since the peers may never come.
  ~NcclProtocol();
  NcclProtocol(const NcclProtocol&) = delete;
  NcclProtocol& operator=(const NcclProtocol&) = delete;

  /// Each buffer := its sum over ranks, as one group. Enqueued after what `caller` holds and before what it gets next;
  /// the host does not wait for the device.
  void sum(std::span<const NcclBuffer> buffers, CUstream_st* caller);
  /// As sum(), but `caller` goes on beside it: its later work sees the result only after join().
  void start_sum(std::span<const NcclBuffer> buffers, CUstream_st* caller);
  /// What `caller` gets from now on happens after everything that was started.
  void join(CUstream_st* caller);
  /// During a capture, the watchdog leaves the streams alone. What a graph replays later it does not see: only errors.
  void set_capturing(bool is_capturing);
  /// buffer := rank 0's, enqueued likewise.
  void broadcast(const NcclBuffer& buffer, CUstream_st* caller);

 private:
  enum class Then { join, go_on };
  template <typename Call>
  void run(NcclLane& lane, HostBoard::Operation operation, std::span<const NcclBuffer> buffers, CUstream_st* caller,
           Then then, const Call& call);
  void sum(NcclLane& lane, std::span<const NcclBuffer> buffers, CUstream_st* caller, Then then);
  void start(const MpiSession& session);
  void finish();
  void wait_for(const NcclLane& lane);
  void require(std::optional<int> code, const char* call);
  void check_async(const NcclLane& lane, const char* call);
  [[nodiscard]] bool watch();
  [[nodiscard]] std::optional<Error> look();
  [[nodiscard]] std::optional<Error> look(NcclLane& lane);
  [[nodiscard]] bool is_late(std::chrono::steady_clock::time_point since) const;
  [[nodiscard]] std::uint64_t last_ended() const;
  [[nodiscard]] Error fault(const std::string& what) const;
  [[nodiscard]] std::string timeout_text() const;
  void report(const Error& error);
  [[noreturn]] void give_up(const std::string& what);

  int rank_;
  int device_;
  NcclOptions options_;
  int exceptions_at_start_;
  HostBoard board_;
  NcclLane prompt_, bulk_;

  /// Held while a call is made: one at a time, in an order that is the same on all ranks.
  std::mutex mutex_;
  std::atomic<bool> failed_ = false;
  /// Since when a call of NCCL has not returned; 0: there is none.
  std::atomic<std::chrono::steady_clock::rep> calling_since_ = 0;
  std::chrono::steady_clock::time_point closing_since_;
  bool closing_ = false;
  bool is_capturing_ = false;
  std::optional<Lookout> watchdog_;
};

}  // namespace xtasc::dist
