#include "nccl/fake_device.hpp"

#include <algorithm>
#include <utility>

#include "nccl/nccl_double.hpp"

namespace xtasc::test::nccl_double {

World world;

namespace {

bool in_progress() {
  return world.comm != nullptr && world.comm->state == ncclInProgress;
}

/// \returns whether the head of the queue is done
bool run_head() {
  Work& head = world.queue.front();
  if (head.kernel) {
    head.kernel();
  } else if (head.event != nullptr) {
    head.event->reached = head.record;
  } else {
    const Collective& call = head.collective;
    if (head.request == MPI_REQUEST_NULL) {
      if (call.is_sum) {
        MPI_Iallreduce(MPI_IN_PLACE, call.data, static_cast<int>(call.count), call.type, MPI_SUM, world.peers,
                       &head.request);
      } else {
        MPI_Ibcast(call.data, static_cast<int>(call.count), call.type, 0, world.peers, &head.request);
      }
    }
    int is_done = 0;
    MPI_Test(&head.request, &is_done, MPI_STATUS_IGNORE);
    return is_done != 0;
  }
  return true;
}

}  // namespace

bool is_main() {
  return std::this_thread::get_id() == world.main_thread;
}

void note(const std::string& call) {
  world.num_calls_of_others += is_main() ? 0 : 1;
  if (is_main() && !(call == "ncclCommGetAsyncError" && !world.calls.empty() && world.calls.back() == call)) {
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
  while (is_main() && !world.is_stopped && !world.queue.empty() && run_head()) {
    world.queue.pop_front();
  }
  return std::none_of(world.queue.begin(), world.queue.end(),
                      [stream](const Work& work) { return stream == nullptr || work.stream == stream; });
}

void open() {
  MPI_Comm_dup(MPI_COMM_WORLD, &world.peers);
}

void close() {
  MPI_Comm_free(&world.peers);
}

void reset() {
  const Lock lock(world.mutex);
  world.calls.clear();
  world.faults.clear();
  world.refusals.clear();
  world.accesses.clear();
  world.async_error = ncclSuccess;
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

int num_alive() {
  const Lock lock(world.mutex);
  return world.num_alive;
}

cudaStream_t make_stream() {
  static std::deque<CUstream_st> streams;
  return &streams.emplace_back();
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

}  // namespace xtasc::test::nccl_double
