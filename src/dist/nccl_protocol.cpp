// Not run on a GPU yet: compiled and linked against the real CUDA and NCCL on every build, and tested with a double.
#include "dist/nccl_protocol.hpp"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <utility>

namespace xtasc::dist {

namespace {

using Clock = std::chrono::steady_clock;

/// A return code of CUDA, for check().
struct CudaCode {
  cudaError_t value;
};

void check(CudaCode code, std::string_view what) {
  xtasc::check(code.value == cudaSuccess, "{}: {}", what, cudaGetErrorString(code.value));
}

std::string nccl_text(ncclResult_t code, ncclComm_t comm) {
  const char* detail = ncclGetLastError(comm);
  const bool has_detail = detail != nullptr && *detail != '\0';
  return has_detail ? fmt::format("{} ({})", ncclGetErrorString(code), detail) : ncclGetErrorString(code);
}

ncclDataType_t nccl_type(NcclElement element) {
  switch (element) {
    case NcclElement::float32:
      return ncclFloat32;
    case NcclElement::float64:
      return ncclFloat64;
    case NcclElement::int64:
      return ncclInt64;
  }
  fail("unknown element type {}", static_cast<int>(element));
}

std::size_t num_bytes(const NcclBuffer& buffer) {
  return buffer.count * (buffer.element == NcclElement::float32 ? 4 : 8);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? fmt::format("{} is not set", name) : fmt::format("{}={}", name, value);
}

/// Between two looks at something that is in progress: short at first, since most calls settle at once.
class Pause {
 public:
  void wait() {
    if (++turns_ < 1000) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

 private:
  int turns_ = 0;
};

}  // namespace

void end_all_ranks(const MpiSession& session, const Error& error) {
  print_error("xtasc", error);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  // NCCL is not aborted first: that would release the device and with it a host that waits, which might then write half
  // summed numbers into a checkpoint. MPI_Abort may be called here although MPI knows of one thread only: it does not
  // return.
  session.abort(static_cast<int>(ExitCode::failure));
}

CudaEvent::CudaEvent() {
  check(CudaCode{cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)}, "cudaEventCreateWithFlags");
}

CudaEvent::~CudaEvent() {
  cudaEventDestroy(event_);
}

void CudaEvent::record(CUstream_st* stream) {
  check(CudaCode{cudaEventRecord(event_, stream)}, "cudaEventRecord");
}

void CudaEvent::order(CUstream_st* before, CUstream_st* after) {
  record(before);
  check(CudaCode{cudaStreamWaitEvent(after, event_, 0)}, "cudaStreamWaitEvent");
}

bool CudaEvent::has_ended() const {
  const cudaError_t code = cudaEventQuery(event_);
  if (code == cudaErrorNotReady) {
    return false;
  }
  check(CudaCode{code}, "cudaEventQuery");
  return true;
}

void NcclProtocol::Abort::operator()(ncclComm* comm) const noexcept {
  ncclCommAbort(comm);
}

NcclProtocol::NcclProtocol(const MpiSession& session, int device, const std::string& place, CUstream_st* stream,
                           NcclOptions options)
    : rank_(session.rank()),
      device_(device),
      stream_(stream),
      options_(std::move(options)),
      exceptions_at_start_(std::uncaught_exceptions()),
      board_(session, place) {
  start(session);
  watchdog_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

NcclProtocol::~NcclProtocol() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;  // from now on the watchdog leaves NCCL and the stream alone, and only minds the time
    waiting_since_ = Clock::now();
  }
  if (!failed_ && std::uncaught_exceptions() == exceptions_at_start_) {
    try {
      finish();
    } catch (const Error& error) {
      comm_.reset();
      report(error);
    }
  }
  comm_.reset();
}

void NcclProtocol::start(const MpiSession& session) {
  board_.begin(HostBoard::Operation::start_up, 0);
  ncclUniqueId id{};
  if (rank_ == 0) {
    const ncclResult_t code = ncclGetUniqueId(&id);
    if (code != ncclSuccess) {
      give_up(fmt::format("ncclGetUniqueId: {}", nccl_text(code, nullptr)));
    }
  }
  const std::string bytes = session.broadcast(std::string(id.internal, sizeof(id.internal)));
  std::memcpy(id.internal, bytes.data(), sizeof(id.internal));
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t comm = nullptr;
  const ncclResult_t code = ncclCommInitRankConfig(&comm, session.size(), id, rank_, &config);
  comm_.reset(comm);
  settle(code, "ncclCommInitRankConfig");
  board_.finish(1);
}

void NcclProtocol::finish() {
  board_.begin(HostBoard::Operation::teardown, 0);
  // Polled rather than synchronized: a peer that never comes must not keep this rank for ever.
  const auto deadline = Clock::now() + options_.timeout;
  Pause pause;
  for (cudaError_t code = cudaErrorNotReady; code != cudaSuccess; pause.wait()) {
    code = cudaStreamQuery(stream_);
    if (code != cudaSuccess && code != cudaErrorNotReady) {
      give_up(fmt::format("cudaStreamQuery: {}", cudaGetErrorString(code)));
    }
    if (code == cudaErrorNotReady && Clock::now() > deadline) {
      give_up("the last operation: " + timeout_text());
    }
  }
  settle(ncclCommFinalize(comm_.get()), "ncclCommFinalize");
  // Does not block once the communicator is finalized.
  const ncclResult_t code = ncclCommDestroy(comm_.release());
  if (code != ncclSuccess) {
    give_up(fmt::format("ncclCommDestroy: {}", ncclGetErrorString(code)));
  }
}

void NcclProtocol::settle(int code, const char* call) {
  auto state = static_cast<ncclResult_t>(code);
  const auto deadline = Clock::now() + options_.timeout;
  Pause pause;
  // Asked at least once: a call may say ncclSuccess before its work is on the stream
  // (https://github.com/NVIDIA/nccl/issues/1495).
  while (comm_ != nullptr && (state == ncclSuccess || state == ncclInProgress)) {
    const ncclResult_t asked = ncclCommGetAsyncError(comm_.get(), &state);
    state = asked == ncclSuccess ? state : asked;
    if (state != ncclInProgress) {
      break;
    }
    if (Clock::now() > deadline) {
      give_up(fmt::format("{}: {}", call, timeout_text()));
    }
    pause.wait();
  }
  if (state != ncclSuccess) {
    give_up(fmt::format("{}: {}", call, nccl_text(state, comm_.get())));
  }
}

template <typename Call>
void NcclProtocol::run(HostBoard::Operation operation, std::span<const NcclBuffer> buffers, CUstream_st* caller,
                       Then then, const Call& call) {
  const std::lock_guard lock(mutex_);
  xtasc::check(!failed_, "rank {}: NCCL has failed before; no operation can follow", rank_);
  settle(ncclSuccess, "an earlier operation");
  std::size_t total = 0;
  for (const NcclBuffer& buffer : buffers) {
    total += num_bytes(buffer);
  }
  const std::uint64_t number = board_.begin(operation, total);
  try {
    before_.order(caller, stream_);
    ncclResult_t first_fault = ncclGroupStart();
    for (const NcclBuffer& buffer : buffers) {
      first_fault = first_fault == ncclSuccess ? call(buffer) : first_fault;
    }
    const ncclResult_t end = ncclGroupEnd();  // even after a fault: groups must balance
    settle(first_fault == ncclSuccess ? end : first_fault, "ncclGroupEnd");
    if (then == Then::join) {
      after_.order(stream_, caller);
    }
  } catch (const Error& error) {
    if (failed_) {
      throw;
    }
    give_up(error.what());
  }
  enqueued_ = number;
}

void NcclProtocol::sum(std::span<const NcclBuffer> buffers, CUstream_st* caller) {
  sum(buffers, caller, Then::join);
}

void NcclProtocol::start_sum(std::span<const NcclBuffer> buffers, CUstream_st* caller) {
  sum(buffers, caller, Then::go_on);
}

void NcclProtocol::join(CUstream_st* caller) {
  const std::lock_guard lock(mutex_);
  after_.order(stream_, caller);
}

void NcclProtocol::set_recording(bool is_recording) {
  const std::lock_guard lock(mutex_);
  is_recording_ = is_recording;
}

void NcclProtocol::sum(std::span<const NcclBuffer> buffers, CUstream_st* caller, Then then) {
  run(HostBoard::Operation::sum, buffers, caller, then, [this](const NcclBuffer& buffer) {
    return ncclAllReduce(buffer.data, buffer.data, buffer.count, nccl_type(buffer.element), ncclSum, comm_.get(),
                         stream_);
  });
}

void NcclProtocol::broadcast(const NcclBuffer& buffer, CUstream_st* caller) {
  run(HostBoard::Operation::broadcast, {&buffer, 1}, caller, Then::join, [this](const NcclBuffer& one) {
    return ncclBroadcast(one.data, one.data, one.count, nccl_type(one.element), 0, comm_.get(), stream_);
  });
}

void NcclProtocol::watch(const std::stop_token& stop) {
  cudaSetDevice(device_);  // a new thread starts on GPU 0
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!wake.wait_for(lock, stop, options_.watch_interval, [&stop] { return stop.stop_requested(); })) {
    std::optional<Error> error;
    try {
      error = look();
    } catch (const Error& failure) {
      error = fault(failure.what());
    }
    if (error) {
      report(*error);
      return;
    }
  }
}

std::optional<Error> NcclProtocol::look() {
  // Whoever holds the lock is enqueuing and minds the time itself.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || failed_ || is_recording_) {
    return std::nullopt;
  }
  const bool is_late = Clock::now() - waiting_since_ > options_.timeout;
  if (closing_) {
    return is_late ? std::optional(fault("teardown: " + timeout_text())) : std::nullopt;
  }
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(comm_.get(), &state);
  state = asked == ncclSuccess ? state : asked;
  if (state != ncclSuccess && state != ncclInProgress) {
    return fault(nccl_text(state, comm_.get()));
  }
  if (marked_ == ended_) {
    if (enqueued_ > ended_) {
      mark_.record(stream_);
      marked_ = enqueued_;
      waiting_since_ = Clock::now();
    }
    return std::nullopt;
  }
  if (mark_.has_ended()) {
    ended_ = marked_;
    board_.finish(ended_);
    return std::nullopt;
  }
  return is_late ? std::optional(fault(timeout_text())) : std::nullopt;
}

std::string NcclProtocol::timeout_text() const {
  return fmt::format("not done within {:g} s", std::chrono::duration<double>(options_.timeout).count());
}

Error NcclProtocol::fault(const std::string& what) const {
  const auto& places = board_.places();
  std::string message = fmt::format("NCCL, rank {} of {} ({}), in {}: {}", rank_, places.size(),
                                    places[static_cast<std::size_t>(rank_)], board_.last_operation(), what);
  if (const auto behind = board_.ranks_behind(); !behind.empty()) {
    message += fmt::format("; behind the others: rank {}", fmt::join(behind, ", "));
  }
  std::vector<std::string> details = board_.table();
  std::string others;
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    others += fmt::format("{}{} -> {}", rank == 0 ? "" : "; ", rank, places[rank]);
  }
  details.push_back("rank -> host, GPU: " + others);
  details.push_back(fmt::format("{} (the network interface to use), {} (INFO makes NCCL say what it does), {}",
                                environment("NCCL_SOCKET_IFNAME"), environment("NCCL_DEBUG"),
                                environment("XTASC_NCCL_TIMEOUT_SECONDS")));
  return Error(message, ExitCode::failure, details);
}

void NcclProtocol::report(const Error& error) {
  failed_ = true;
  options_.on_failure(board_.claim_report() ? error : Error(error.what()));
}

void NcclProtocol::give_up(const std::string& what) {
  failed_ = true;
  throw fault(what);
}

}  // namespace xtasc::dist
