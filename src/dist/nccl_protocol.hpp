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
#include <thread>

#include "core/error.hpp"
#include "dist/host_board.hpp"
#include "dist/mpi_session.hpp"

struct CUevent_st;   // what cudaEvent_t,
struct CUstream_st;  // cudaStream_t
struct ncclComm;     // and ncclComm_t point to: this header needs neither CUDA nor NCCL

namespace xtasc::dist {

enum class NcclElement { float32, float64, int64 };

/// Dense device memory, summed or filled in place.
struct NcclBuffer {
  void* data;
  std::size_t count;
  NcclElement element;
};

struct NcclOptions {
  /// How long start-up, teardown and any one operation may take.
  std::chrono::milliseconds timeout = std::chrono::minutes(10);
  /// How often the watchdog looks.
  std::chrono::milliseconds watch_interval = std::chrono::seconds(1);
  /// Called from the watchdog's thread, once, when an operation failed or took too long while the host did something
  /// else, and from the destructor when teardown fails. Should end the process: the device's numbers are not to be
  /// trusted any more, and the host may wait for them for ever.
  std::function<void(const Error&)> on_failure;
};

/// Prints the error of a rank whose host may be stuck, gives the other hosts' ranks two seconds to print theirs, and
/// ends all ranks with exit code 1. What NcclOptions::on_failure is in the product; may be called from any thread.
[[noreturn]] void end_all_ranks(const MpiSession& session, const Error& error);

/// A CUDA event without timing, for ordering two streams.
class CudaEvent {
 public:
  CudaEvent();
  ~CudaEvent();
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;

  void record(CUstream_st* stream);
  /// Everything enqueued on `before` so far happens before whatever `after` is given from now on.
  void order(CUstream_st* before, CUstream_st* after);
  /// Whether everything before the last record() has ended. \throws Error when the device failed
  [[nodiscard]] bool has_ended() const;

 private:
  CUevent_st* event_ = nullptr;
};

/// How NCCL is used, on raw pointers and streams: no tensor is known here, so that the test can link it with a double
/// of NCCL and CUDA. Not run on a GPU yet.
///
/// The communicator is non-blocking: no call of NCCL blocks, calls in progress are polled for `timeout`, and an error
/// is thrown as soon as it is known, with this rank, what was in flight and what each rank of the host did last. A
/// watchdog thread polls for asynchronous errors and for operations that do not end, since the host may be waiting for
/// something else; it calls `on_failure`.
///
/// Sources: https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/usage/communicators.html (fault tolerance,
/// finalizing) and https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/api/comms.html
class NcclProtocol {
 public:
  /// Collective. Its id travels over MPI.
  /// \param device  of `stream`, made current by the caller
  /// \param place   host and GPU of this rank, for messages
  /// \param stream  NCCL's own, of this rank's GPU; must outlive this object
  /// \throws Error when start-up fails or takes longer than the timeout
  NcclProtocol(const MpiSession& session, int device, const std::string& place, CUstream_st* stream,
               NcclOptions options);
  /// Healthy: waits for the stream, finalizes, destroys; collective. After a failure, or while an exception passes:
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
  /// While recording, the watchdog leaves the stream alone. What a graph replays later it does not see: only errors.
  void set_recording(bool is_recording);
  /// buffer := rank 0's, enqueued likewise.
  void broadcast(const NcclBuffer& buffer, CUstream_st* caller);

 private:
  /// Whatever happens, a communicator that was not destroyed in good order is aborted.
  struct Abort {
    void operator()(ncclComm* comm) const noexcept;
  };

  enum class Then { join, go_on };
  template <typename Call>
  void run(HostBoard::Operation operation, std::span<const NcclBuffer> buffers, CUstream_st* caller, Then then,
           const Call& call);
  void sum(std::span<const NcclBuffer> buffers, CUstream_st* caller, Then then);
  void start(const MpiSession& session);
  void finish();
  void settle(int code, const char* call);
  void watch(const std::stop_token& stop);
  [[nodiscard]] std::optional<Error> look();
  [[nodiscard]] Error fault(const std::string& what) const;
  [[nodiscard]] std::string timeout_text() const;
  void report(const Error& error);
  [[noreturn]] void give_up(const std::string& what);

  int rank_;
  int device_;
  CUstream_st* stream_;
  NcclOptions options_;
  int exceptions_at_start_;
  HostBoard board_;
  CudaEvent before_, after_;
  std::unique_ptr<ncclComm, Abort> comm_;

  /// Held while calls are enqueued: NCCL wants nobody else on its stream while a call is in progress.
  std::mutex mutex_;
  std::atomic<bool> failed_ = false;
  std::uint64_t enqueued_ = 0;  // number of the last operation that is on the stream
  CudaEvent mark_;              // the watchdog's: recorded after operation marked_
  std::uint64_t marked_ = 0;
  std::uint64_t ended_ = 0;
  std::chrono::steady_clock::time_point waiting_since_;
  bool closing_ = false;
  bool is_recording_ = false;
  std::jthread watchdog_;
};

}  // namespace xtasc::dist
