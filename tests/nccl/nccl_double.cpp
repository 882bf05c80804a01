// The calls of NCCL and CUDA. What they act on is in fake_device.
#include "nccl/nccl_double.hpp"

#include <mpi.h>

#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "nccl/fake_device.hpp"

namespace {

using namespace xtasc::test::nccl_double;

/// One poll: start-up and finalizing wait for the peers, a group for a few polls; then its work is on the stream.
void advance(ncclComm& comm) {
  if (comm.state != ncclInProgress || --comm.polls_left > 0) {
    return;
  }
  int is_done = 1;
  if (comm.peers != MPI_REQUEST_NULL) {
    MPI_Test(&comm.peers, &is_done, MPI_STATUS_IGNORE);
  }
  if (is_done == 0) {
    return;
  }
  comm.state = ncclSuccess;
  for (const Collective& call : std::exchange(comm.group, {})) {
    access(call.stream, call.stream->clock, call.data, call.count * call.element_bytes);
    enqueue({.stream = call.stream, .kernel = {}, .collective = call});
  }
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
  world.group_comm = comm;
  comm->group.push_back(call);
  return ncclSuccess;
}

void begin_progress(ncclComm& comm, bool waits_for_peers) {
  comm.state = ncclInProgress;
  comm.polls_left = 3;
  if (waits_for_peers) {
    MPI_Ibarrier(world.peers, &comm.peers);
  }
}

void forget(ncclComm_t comm) {
  world.comm = nullptr;
  --world.num_alive;
  delete comm;
}

}  // namespace

extern "C" {

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const Lock lock(world.mutex);
  note("ncclGetUniqueId");
  std::memset(id->internal, 'x', sizeof(id->internal));
  return refusal("ncclGetUniqueId");
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int nranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  const Lock lock(world.mutex);
  note("ncclCommInitRankConfig");
  if (const ncclResult_t code = refusal("ncclCommInitRankConfig"); code != ncclSuccess) {
    return code;
  }
  int size = 0;
  int own = 0;
  MPI_Comm_size(world.peers, &size);
  MPI_Comm_rank(world.peers, &own);
  if (nranks != size || rank != own || config->blocking != 0 || id.internal[0] != 'x' || id.internal[127] != 'x') {
    world.faults.emplace_back("ncclCommInitRankConfig: wrong size, rank, id, or blocking");
  }
  ++world.num_alive;
  world.comm = *comm = new ncclComm;
  begin_progress(**comm, /*waits_for_peers=*/true);
  return ncclInProgress;
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
  const Lock lock(world.mutex);
  note("ncclGroupEnd");
  if (--world.group_depth < 0) {
    world.faults.emplace_back("ncclGroupEnd without ncclGroupStart");
  }
  ncclComm* comm = std::exchange(world.group_comm, nullptr);
  if (comm == nullptr) {
    return ncclSuccess;
  }
  begin_progress(*comm, /*waits_for_peers=*/false);
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
  const Lock lock(world.mutex);
  note("ncclCommFinalize");
  comm->is_finalized = true;
  begin_progress(*comm, /*waits_for_peers=*/true);
  return ncclInProgress;
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
  std::erase_if(world.queue, [](const Work& work) { return !work.kernel && work.event == nullptr; });
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
  // The queue keeps to the order of enqueuing, so the event is reached when this work's turn comes.
  enqueue({.stream = stream, .kernel = [] {}, .collective = {}});
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
