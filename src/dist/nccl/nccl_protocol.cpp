// Not run on a GPU yet: compiled and linked against the real CUDA and NCCL on every build, and tested with a double.
#include "dist/nccl/nccl_protocol.hpp"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <nccl.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <thread>
#include <utility>

namespace xtasc::dist {

namespace {

using Clock = std::chrono::steady_clock;

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

/// The file that NCCL was loaded from.
std::string nccl_path() {
  Dl_info info{};
  const bool is_known = dladdr(reinterpret_cast<const void*>(&ncclGetVersion), &info) != 0;
  return is_known && info.dli_fname != nullptr ? info.dli_fname : "from an unknown file";
}

/// A communicator, made in a thread of its own: what it needs, and what becomes of it.
struct StartUp {
  int device;
  int num_ranks;
  int rank;
  ncclUniqueId id{};
  int max_blocks;  ///< that a kernel of NCCL's may take; NCCL_CONFIG_UNDEF_INT: as NCCL thinks fit
  ncclComm_t comm = nullptr;

  ncclResult_t run() {
    cudaSetDevice(device);  // a new thread starts on GPU 0
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 1;  // with 0 NCCL starts a thread for each group
    config.maxCTAs = max_blocks;
    return ncclCommInitRankConfig(&comm, num_ranks, id, rank, &config);
  }
};

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

NcclProtocol::NcclProtocol(const MpiSession& session, int device, const std::string& place, const NcclStreams& streams,
                           NcclOptions options)
    : rank_(session.rank()),
      device_(device),
      options_(std::move(options)),
      exceptions_at_start_(std::uncaught_exceptions()),
      board_(session, place),
      prompt_(streams.prompt),
      bulk_(streams.bulk) {
  start(session);
  watchdog_.emplace(options_.watch_interval, [this] { return watch(); });
}

NcclProtocol::~NcclProtocol() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;  // from now on the watchdog leaves NCCL and the streams alone, and only minds the time
    closing_since_ = Clock::now();
  }
  if (!failed_ && std::uncaught_exceptions() == exceptions_at_start_) {
    try {
      finish();
    } catch (const Error& error) {
      bulk_.comm.reset();
      prompt_.comm.reset();
      report(error);
    }
  }
  bulk_.comm.reset();
  prompt_.comm.reset();
}

void NcclProtocol::start(const MpiSession& session) {
  board_.begin(HostBoard::Operation::start_up, 0);
  set_where_unset(options_.variables);
  int version = 0;
  require(ncclGetVersion(&version), "ncclGetVersion");
  check_nccl_version(NCCL_VERSION_CODE, version, nccl_path());
  std::array<ncclUniqueId, 2> ids{};
  if (rank_ == 0) {
    for (ncclUniqueId& id : ids) {
      require(ncclGetUniqueId(&id), "ncclGetUniqueId");
    }
  }
  const std::string bytes = session.broadcast(std::string(ids.front().internal, sizeof(ids)));
  std::memcpy(ids.data(), bytes.data(), sizeof(ids));
  // A few KiB need few blocks of the GPU, and few of NCCL's buffers.
  constexpr int kPromptBlocks = 4;
  const std::array<std::pair<NcclLane*, int>, 2> lanes = {{{&bulk_, NCCL_CONFIG_UNDEF_INT}, {&prompt_, kPromptBlocks}}};
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    // Shared with the thread, which may outlive this object.
    const auto start_up = std::make_shared<StartUp>(StartUp{device_, session.size(), rank_, ids[i], lanes[i].second});
    const auto code = call_with_timeout([start_up] { return static_cast<int>(start_up->run()); }, options_.timeout);
    if (code) {
      lanes[i].first->comm.reset(start_up->comm);
    }
    require(code, "ncclCommInitRankConfig");
  }
  board_.finish(1);
}

void NcclProtocol::finish() {
  board_.begin(HostBoard::Operation::teardown, 0);
  for (NcclLane* lane : {&bulk_, &prompt_}) {
    wait_for(*lane);
  }
  for (NcclLane* lane : {&bulk_, &prompt_}) {
    check_async(*lane, "an earlier operation");
    ncclComm_t comm = lane->comm.release();  // the thread's, which may outlive this object
    require(call_with_timeout(
                [comm] {
                  const ncclResult_t code = ncclCommFinalize(comm);
                  if (code != ncclSuccess) {
                    ncclCommAbort(comm);
                    return static_cast<int>(code);
                  }
                  return static_cast<int>(ncclCommDestroy(comm));
                },
                options_.timeout),
            "ncclCommFinalize");
  }
}

/// Polls rather than synchronizes: a peer that never comes must not keep this rank for ever.
void NcclProtocol::wait_for(const NcclLane& lane) {
  const auto start = Clock::now();
  Pause pause;
  for (cudaError_t code = cudaErrorNotReady; code != cudaSuccess; pause.wait()) {
    code = cudaStreamQuery(lane.stream);
    if (code != cudaSuccess && code != cudaErrorNotReady) {
      give_up(fmt::format("cudaStreamQuery: {}", cudaGetErrorString(code)));
    }
    if (code == cudaErrorNotReady && is_late(start)) {
      give_up("the last operation: " + timeout_text());
    }
  }
}

/// \param code  of NCCL; nullopt: the call did not return in time
void NcclProtocol::require(std::optional<int> code, const char* call) {
  if (!code) {
    give_up(fmt::format("{}: {}", call, timeout_text()));
  }
  if (const auto result = static_cast<ncclResult_t>(*code); result != ncclSuccess) {
    give_up(fmt::format("{}: {}", call, nccl_text(result, nullptr)));
  }
}

void NcclProtocol::check_async(const NcclLane& lane, const char* call) {
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(lane.comm.get(), &state);
  require(asked == ncclSuccess ? state : asked, call);
}

template <typename Call>
void NcclProtocol::run(NcclLane& lane, HostBoard::Operation operation, std::span<const NcclBuffer> buffers,
                       CUstream_st* caller, Then then, const Call& call) {
  const std::lock_guard lock(mutex_);
  xtasc::check(!failed_, "rank {}: NCCL has failed before; no operation can follow", rank_);
  check_async(lane, "an earlier operation");
  std::size_t total = 0;
  for (const NcclBuffer& buffer : buffers) {
    total += num_bytes(buffer);
  }
  const std::uint64_t number = board_.begin(operation, total);
  calling_since_ = Clock::now().time_since_epoch().count();
  try {
    lane.before.order(caller, lane.stream);
    ncclResult_t first_fault = ncclGroupStart();
    for (const NcclBuffer& buffer : buffers) {
      first_fault = first_fault == ncclSuccess ? call(buffer) : first_fault;
    }
    const ncclResult_t end = ncclGroupEnd();  // even after a fault: groups must balance
    require(first_fault == ncclSuccess ? end : first_fault, "ncclGroupEnd");
    if (then == Then::join) {
      lane.after.order(lane.stream, caller);
    }
  } catch (const Error& error) {
    calling_since_ = 0;
    if (failed_) {
      throw;
    }
    give_up(error.what());
  }
  calling_since_ = 0;
  lane.enqueued = number;
}

void NcclProtocol::sum(std::span<const NcclBuffer> buffers, CUstream_st* caller) {
  constexpr std::size_t kMostPromptBytes = 64 << 10;
  std::size_t total = 0;
  for (const NcclBuffer& buffer : buffers) {
    total += num_bytes(buffer);
  }
  sum(total <= kMostPromptBytes ? prompt_ : bulk_, buffers, caller, Then::join);
}

void NcclProtocol::start_sum(std::span<const NcclBuffer> buffers, CUstream_st* caller) {
  sum(bulk_, buffers, caller, Then::go_on);
}

void NcclProtocol::join(CUstream_st* caller) {
  const std::lock_guard lock(mutex_);
  bulk_.after.order(bulk_.stream, caller);
}

void NcclProtocol::set_capturing(bool is_capturing) {
  const std::lock_guard lock(mutex_);
  is_capturing_ = is_capturing;
}

void NcclProtocol::sum(NcclLane& lane, std::span<const NcclBuffer> buffers, CUstream_st* caller, Then then) {
  run(lane, HostBoard::Operation::sum, buffers, caller, then, [&lane](const NcclBuffer& buffer) {
    return ncclAllReduce(buffer.data, buffer.data, buffer.count, nccl_type(buffer.element), ncclSum, lane.comm.get(),
                         lane.stream);
  });
}

void NcclProtocol::broadcast(const NcclBuffer& buffer, CUstream_st* caller) {
  run(bulk_, HostBoard::Operation::broadcast, {&buffer, 1}, caller, Then::join, [this](const NcclBuffer& one) {
    return ncclBroadcast(one.data, one.data, one.count, nccl_type(one.element), 0, bulk_.comm.get(), bulk_.stream);
  });
}

bool NcclProtocol::watch() {
  cudaSetDevice(device_);  // a new thread starts on GPU 0
  std::optional<Error> error;
  try {
    error = look();
  } catch (const Error& failure) {
    error = fault(failure.what());
  }
  if (error) {
    report(*error);
  }
  return !error;
}

std::optional<Error> NcclProtocol::look() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (failed_) {
    return std::nullopt;
  }
  if (!lock) {  // a call is being made: NCCL's stream is not for us now, but a call may wait for a peer and never
                // return
    const auto since = calling_since_.load();
    return since != 0 && is_late(Clock::time_point(Clock::duration(since))) ? std::optional(fault(timeout_text()))
                                                                            : std::nullopt;
  }
  if (closing_) {
    return is_late(closing_since_) ? std::optional(fault("teardown: " + timeout_text())) : std::nullopt;
  }
  if (is_capturing_) {
    return std::nullopt;
  }
  for (NcclLane* lane : {&bulk_, &prompt_}) {
    if (std::optional<Error> error = look(*lane)) {
      return error;
    }
  }
  board_.finish(last_ended());
  return std::nullopt;
}

std::optional<Error> NcclProtocol::look(NcclLane& lane) {
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(lane.comm.get(), &state);
  state = asked == ncclSuccess ? state : asked;
  if (state != ncclSuccess && state != ncclInProgress) {
    return fault(nccl_text(state, lane.comm.get()));
  }
  if (lane.marked == lane.ended) {
    if (lane.enqueued > lane.ended) {
      lane.mark.record(lane.stream);
      lane.marked = lane.enqueued;
      lane.waiting_since = Clock::now();
    }
    return std::nullopt;
  }
  if (lane.mark.has_ended()) {
    lane.ended = lane.marked;
    return std::nullopt;
  }
  return is_late(lane.waiting_since) ? std::optional(fault(timeout_text())) : std::nullopt;
}

bool NcclProtocol::is_late(Clock::time_point since) const {
  return Clock::now() - since > options_.timeout;
}

/// The last operation of which it is known that it has ended, with all before it: both lanes share the numbers.
std::uint64_t NcclProtocol::last_ended() const {
  std::uint64_t last = std::max<std::uint64_t>({1, bulk_.enqueued, prompt_.enqueued});  // 1 is start-up
  for (const NcclLane* lane : {&bulk_, &prompt_}) {
    if (lane->ended < lane->enqueued) {
      last = std::min(last, lane->ended);
    }
  }
  return last;
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
