// The calls of NCCL and CUDA. What they act on is in fake_device.
#include "nccl/nccl_double.hpp"

#include <mpi.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "nccl/fake_device.hpp"

namespace {

using namespace xtasc::test::nccl_double;

void put_on_stream(ncclComm& comm) {
  for (const Collective& call : std::exchange(comm.group, {})) {
    access(call.stream, call.stream->clock, call.data, call.count * call.element_bytes);
    world.launches.push_back("stream " + std::to_string(call.stream->number) + ": " + (call.is_sum ? "sum" : "copy") +
                             " of " + std::to_string(call.count * call.element_bytes) + " bytes");
    enqueue({.stream = call.stream, .kernel = {}, .collective = call});
  }
}

/// One poll of a communicator that is not blocking: for a few its group is in progress, then its work is on the stream.
void advance(ncclComm& comm) {
  if (comm.state == ncclInProgress && --comm.polls_left <= 0) {
    comm.state = ncclSuccess;
    put_on_stream(comm);
  }
}

/// Waits for all ranks, as start-up and finalizing do; not with the world's lock. \returns the first error meanwhile
ncclResult_t meet_peers() {
  std::uint64_t number = 0;
  {
    const Lock lock(world.mutex);
    number = world.gate.arrive();
  }
  while (!world.gate.have_come(number)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const Lock lock(world.mutex);
    if (world.async_error != ncclSuccess) {
      return world.async_error;
    }
  }
  const Lock lock(world.mutex);
  return world.async_error;
}

std::vector<std::string> variables_of_nccl() {
  std::vector<std::string> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, "NCCL_", 5) == 0) {
      found.emplace_back(*entry);
    }
  }
  return found;
}

ncclResult_t in_group(const char* name, Collective call, ncclDataType_t type, ncclComm_t comm) {
  const Lock lock(world.mutex);
  note(name);
  if (const ncclResult_t code = refusal(name); code != ncclSuccess) {
    return code;
  }
  if (world.group_depth == 0) {
    world.faults.push_back(std::string(name) + " outside of a group");
  }
  call.type = type == ncclFloat32 ? MPI_FLOAT : type == ncclFloat64 ? MPI_DOUBLE : MPI_INT64_T;
  call.element_bytes = type == ncclFloat32 ? 4 : 8;
  call.peers = comm->peers;
  world.group_comm = comm;
  comm->group.push_back(call);
  return ncclSuccess;
}

void forget(ncclComm_t comm) {
  world.comms.erase(comm);
  --world.num_alive;
  delete comm;
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  const Lock lock(world.mutex);
  note("ncclGetVersion");
  *version = world.version;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const Lock lock(world.mutex);
  note("ncclGetUniqueId");
  std::memset(id->internal, 'x', sizeof(id->internal));
  id->internal[1] = static_cast<char>(world.num_ids++ % 2);
  return refusal("ncclGetUniqueId");
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int nranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  {
    const Lock lock(world.mutex);
    note("ncclCommInitRankConfig");
    if (const ncclResult_t code = refusal("ncclCommInitRankConfig"); code != ncclSuccess) {
      return code;
    }
    world.variables = variables_of_nccl();
    int size = 0;
    int own = 0;
    MPI_Comm_size(world.peers[0], &size);
    MPI_Comm_rank(world.peers[0], &own);
    if (nranks != size || rank != own || id.internal[0] != 'x' || id.internal[127] != 'x') {
      world.faults.emplace_back("ncclCommInitRankConfig: wrong size, rank or id");
    }
  }
  if (stall_of("ncclCommInitRankConfig")) {
    return ncclInternalError;
  }
  if (const ncclResult_t code = meet_peers(); code != ncclSuccess) {
    return code;
  }
  const Lock lock(world.mutex);
  ++world.num_alive;
  *comm = new ncclComm;
  (*comm)->is_blocking = config->blocking != 0;
  (*comm)->peers = world.peers[static_cast<std::size_t>(id.internal[1])];
  world.comms.insert(*comm);
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  const Lock lock(world.mutex);
  note("ncclCommGetAsyncError");
  if (is_main()) {
    advance(*comm);
  }
  *state = world.async_error != ncclSuccess ? world.async_error : comm->state;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  const Lock lock(world.mutex);
  note("ncclGroupStart");
  ++world.group_depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  stall_of("ncclGroupEnd");
  const Lock lock(world.mutex);
  note("ncclGroupEnd");
  if (--world.group_depth < 0) {
    world.faults.emplace_back("ncclGroupEnd without ncclGroupStart");
  }
  ncclComm* comm = std::exchange(world.group_comm, nullptr);
  if (comm == nullptr) {
    return ncclSuccess;
  }
  if (comm->is_blocking) {
    put_on_stream(*comm);
    return ncclSuccess;
  }
  ++world.num_threads;  // the real one's, joined when its end is asked for
  comm->state = ncclInProgress;
  comm->polls_left = 3;
  return ncclInProgress;
}

ncclResult_t ncclAllReduce(const void* source, void* data, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                           ncclComm_t comm, cudaStream_t stream) {
  if (source != data || operation != ncclSum) {
    world.faults.emplace_back("ncclAllReduce: not a sum in place");
  }
  return in_group("ncclAllReduce", {.data = data, .count = count, .is_sum = true, .stream = stream}, type, comm);
}

ncclResult_t ncclBroadcast(const void* source, void* data, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream) {
  if (source != data || root != 0) {
    world.faults.emplace_back("ncclBroadcast: not rank 0's, in place");
  }
  return in_group("ncclBroadcast", {.data = data, .count = count, .is_sum = false, .stream = stream}, type, comm);
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  {
    const Lock lock(world.mutex);
    note("ncclCommFinalize");
    comm->is_finalized = true;
  }
  if (stall_of("ncclCommFinalize")) {
    return ncclInternalError;
  }
  return meet_peers();
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const Lock lock(world.mutex);
  note("ncclCommDestroy");
  if (!comm->is_finalized || comm->state != ncclSuccess) {
    world.faults.emplace_back("ncclCommDestroy before ncclCommFinalize was done");
  }
  forget(comm);
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const Lock lock(world.mutex);
  note("ncclCommAbort");
  std::erase_if(world.queue, [comm](const Work& work) {
    return !work.kernel && work.event == nullptr && work.collective.peers == comm->peers;
  });
  forget(comm);
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t code) {
  return code == ncclRemoteError ? "remote process exited or there was a network error" : "an error of the double";
}

const char* ncclGetLastError(ncclComm_t /*comm*/) {
  return "";
}

// ------------------------------------------------------------------------------------------------------------
cudaError_t cudaSetDevice(int /*device*/) {
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t /*code*/) {
  return "an error of the double";
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  const Lock lock(world.mutex);
  note("cudaEventCreateWithFlags");
  if (flags != cudaEventDisableTiming) {
    world.faults.emplace_back("an event with timing");
  }
  ++world.num_alive;
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Lock lock(world.mutex);
  std::erase_if(world.queue, [event](const Work& work) { return work.event == event; });
  --world.num_alive;
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock(world.mutex);
  note("cudaEventRecord");
  enqueue({.stream = stream, .kernel = {}, .collective = {}, .event = event, .record = ++event->recorded});
  event->clock = stream->clock;
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Lock lock(world.mutex);
  note("cudaEventQuery");
  return event->reached == event->recorded ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int /*flags*/) {
  const Lock lock(world.mutex);
  note("cudaStreamWaitEvent");
  enqueue({.stream = stream, .kernel = {}, .collective = {}, .event = event, .record = event->recorded, .waits = true});
  merge(stream->clock, event->clock);
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const Lock lock(world.mutex);
  note("cudaStreamQuery");
  return device_is_idle(stream) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  {
    const Lock lock(world.mutex);
    note("cudaStreamSynchronize");
  }
  while (!device_is_idle(stream)) {
    std::this_thread::yield();
  }
  const Lock lock(world.mutex);
  merge(world.host, stream->clock);
  return cudaSuccess;
}

}  // extern "C"
