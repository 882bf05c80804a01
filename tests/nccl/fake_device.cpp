#include "nccl/fake_device.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "nccl/nccl_double.hpp"

namespace xtasc::test::nccl_double {

World world;

namespace {

bool in_progress() {
  return std::ranges::any_of(world.comms, [](const ncclComm* comm) { return comm->state == ncclInProgress; });
}

/// \returns whether this is done, which is at the head of its stream
bool run(Work& work) {
  if (work.kernel) {
    work.kernel();
  } else if (work.event != nullptr && work.waits) {
    return work.event->reached >= work.record;
  } else if (work.event != nullptr) {
    work.event->reached = work.record;
  } else {
    const Collective& call = work.collective;
    if (work.request == MPI_REQUEST_NULL) {
      if (call.is_sum) {
        MPI_Iallreduce(MPI_IN_PLACE, call.data, static_cast<int>(call.count), call.type, MPI_SUM, call.peers,
                       &work.request);
      } else {
        MPI_Ibcast(call.data, static_cast<int>(call.count), call.type, 0, call.peers, &work.request);
      }
    }
    int is_done = 0;
    MPI_Test(&work.request, &is_done, MPI_STATUS_IGNORE);
    return is_done != 0;
  }
  return true;
}

/// What can run on every stream. \returns whether anything ran
bool run_heads() {
  bool has_run = false;
  std::set<const CUstream_st*> busy = world.stopped;
  for (auto work = world.queue.begin(); work != world.queue.end();) {
    if (!busy.contains(work->stream) && run(*work)) {
      work = world.queue.erase(work);
      has_run = true;
    } else {
      busy.insert(work->stream);
      ++work;
    }
  }
  return has_run;
}

/// Calls that a thread makes on the main one's behalf.
bool is_made_for_main(const std::string& call) {
  return call == "ncclCommInitRankConfig" || call == "ncclCommFinalize" || call == "ncclCommDestroy" ||
         call == "ncclCommAbort";
}

}  // namespace

bool is_main() {
  return std::this_thread::get_id() == world.main_thread;
}

void note(const std::string& call) {
  const bool counts = is_main() || is_made_for_main(call);
  world.num_calls_of_others += counts ? 0 : 1;
  if (counts && !(call == "ncclCommGetAsyncError" && !world.calls.empty() && world.calls.back() == call)) {
    world.calls.push_back(call);
  }
  if (in_progress() && call != "ncclCommGetAsyncError" && call != "ncclCommAbort" && call != "cudaEventQuery") {
    world.faults.push_back(call + " while a call of NCCL is in progress");
  }
}

ncclResult_t refusal(const std::string& call) {
  const auto found = world.refusals.find(call);
  if (found == world.refusals.end()) {
    return ncclSuccess;
  }
  const ncclResult_t code = found->second;
  world.refusals.erase(found);
  return code;
}

bool stall_of(const std::string& call) {
  bool was_stalled = false;
  const auto is_stalled = [&call] {
    const Lock lock(world.mutex);
    return world.stalls.contains(call);
  };
  while (is_stalled()) {
    was_stalled = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return was_stalled;
}

void merge(VectorClock& into, const VectorClock& from) {
  for (const auto& [stream, time] : from) {
    into[stream] = std::max(into[stream], time);
  }
}

void access(const CUstream_st* by, VectorClock& clock, const void* data, std::size_t num_bytes) {
  const auto* begin = static_cast<const char*>(data);
  const char* end = begin + num_bytes;
  for (const Access& earlier : world.accesses) {
    if (earlier.begin < end && begin < earlier.end && clock[earlier.by] < earlier.time) {
      world.faults.push_back(by == nullptr ? "memory read by the host before its stream was synchronized"
                                           : "memory touched on two streams without an event between them");
    }
  }
  std::erase_if(world.accesses, [&](const Access& one) { return one.begin >= begin && one.end <= end; });
  world.accesses.push_back({begin, end, by, ++clock[by]});
}

void enqueue(Work work) {
  merge(work.stream->clock, world.host);  // what the host did before, the stream sees
  world.queue.push_back(std::move(work));
}

bool device_is_idle(cudaStream_t stream) {
  const Lock lock(world.mutex);
  while (is_main() && !world.is_stopped && run_heads()) {
  }
  return std::none_of(world.queue.begin(), world.queue.end(),
                      [stream](const Work& work) { return stream == nullptr || work.stream == stream; });
}

void Gate::open() {
  int size = 0;
  int rank = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  num_ranks_ = static_cast<std::uint64_t>(size);
  void* memory = nullptr;
  MPI_Win_allocate_shared(rank == 0 ? sizeof(*arrived_) : 0, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &memory, &window_);
  MPI_Aint num_bytes = 0;
  int unit = 0;
  MPI_Win_shared_query(window_, 0, &num_bytes, &unit, &memory);
  arrived_ = rank == 0 ? new (memory) std::atomic<std::uint64_t>(0) : static_cast<std::atomic<std::uint64_t>*>(memory);
  MPI_Barrier(MPI_COMM_WORLD);
}

void Gate::close() {
  MPI_Win_free(&window_);
}

std::uint64_t Gate::arrive() {
  ++*arrived_;
  return ++num_points_ * num_ranks_;
}

void open() {
  for (MPI_Comm& peers : world.peers) {
    MPI_Comm_dup(MPI_COMM_WORLD, &peers);
  }
  world.gate.open();
}

void close() {
  for (MPI_Comm& peers : world.peers) {
    MPI_Comm_free(&peers);
  }
  world.gate.close();
}

void reset() {
  const Lock lock(world.mutex);
  world.calls.clear();
  world.faults.clear();
  world.launches.clear();
  world.refusals.clear();
  world.stalls.clear();
  world.stopped.clear();
  world.accesses.clear();
  world.async_error = ncclSuccess;
  world.version = NCCL_VERSION_CODE;
  world.is_stopped = false;
  world.group_depth = 0;
}

int num_calls_of_others() {
  return world.num_calls_of_others;
}

std::vector<std::string> calls() {
  const Lock lock(world.mutex);
  return world.calls;
}

std::vector<std::string> faults() {
  const Lock lock(world.mutex);
  std::vector<std::string> all = world.faults;
  if (world.group_depth != 0) {
    all.emplace_back("a group was left open");
  }
  return all;
}

std::vector<std::string> launches() {
  const Lock lock(world.mutex);
  return world.launches;
}

std::vector<std::string> variables() {
  const Lock lock(world.mutex);
  return world.variables;
}

int num_threads() {
  const Lock lock(world.mutex);
  return world.num_threads;
}

int num_alive() {
  const Lock lock(world.mutex);
  return world.num_alive;
}

cudaStream_t make_stream() {
  static std::deque<CUstream_st> streams;
  CUstream_st& stream = streams.emplace_back();
  stream.number = static_cast<int>(streams.size());
  return &stream;
}

void launch(cudaStream_t stream, void* data, std::size_t num_bytes, std::function<void()> work) {
  const Lock lock(world.mutex);
  enqueue({.stream = stream, .kernel = std::move(work), .collective = {}});
  access(stream, stream->clock, data, num_bytes);
}

void host_reads(const void* data, std::size_t num_bytes) {
  const Lock lock(world.mutex);
  access(nullptr, world.host, data, num_bytes);
}

bool run_device() {
  return device_is_idle(nullptr);
}

void fail_async(ncclResult_t code) {
  const Lock lock(world.mutex);
  world.async_error = code;
}

void refuse(const std::string& call, ncclResult_t code) {
  const Lock lock(world.mutex);
  world.refusals[call] = code;
}

void stop_device() {
  const Lock lock(world.mutex);
  world.is_stopped = true;
}

void stop_stream(cudaStream_t stream, bool is_stopped) {
  const Lock lock(world.mutex);
  if (is_stopped) {
    world.stopped.insert(stream);
  } else {
    world.stopped.erase(stream);
  }
}

void stall(const std::string& call, bool is_stalled) {
  const Lock lock(world.mutex);
  if (is_stalled) {
    world.stalls.insert(call);
  } else {
    world.stalls.erase(call);
  }
}

void set_version(int version) {
  const Lock lock(world.mutex);
  world.version = version;
}

int stream_number(cudaStream_t stream) {
  return stream->number;
}

}  // namespace xtasc::test::nccl_double
