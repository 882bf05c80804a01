#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

struct CUevent_st;   // what cudaEvent_t,
struct CUstream_st;  // cudaStream_t
struct ncclComm;     // and ncclComm_t point to: this header needs neither CUDA nor NCCL

namespace xtasc::dist {

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

/// Makes a call of NCCL that may block for ever, such as one that waits for a peer, in a thread of its own.
/// \returns its return code; nullopt when it did not return within `timeout`: then that thread, and whatever the call
/// uses, is left to itself \param call  owns what it uses
[[nodiscard]] std::optional<int> call_with_timeout(std::function<int()> call, std::chrono::milliseconds timeout);

/// Whatever happens, a communicator that was not destroyed in good order is aborted.
struct NcclAbort {
  void operator()(ncclComm* comm) const noexcept;
};

/// A communicator of NCCL's with its stream. What is enqueued on one lane waits for nothing on another.
struct NcclLane {
  explicit NcclLane(CUstream_st* stream_of_lane) : stream(stream_of_lane) {}

  CUstream_st* stream;
  std::unique_ptr<ncclComm, NcclAbort> comm;
  CudaEvent before, after;

  std::uint64_t enqueued = 0;  ///< number of the last operation that is on the stream
  CudaEvent mark;              ///< the watchdog's: recorded after operation `marked`
  std::uint64_t marked = 0;
  std::uint64_t ended = 0;
  std::chrono::steady_clock::time_point waiting_since;
};

}  // namespace xtasc::dist
