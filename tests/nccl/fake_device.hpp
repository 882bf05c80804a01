#pragma once

#include <cuda_runtime_api.h>
#include <mpi.h>
#include <nccl.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

/// How much each stream (and the host, as nullptr) had done when something happened.
using VectorClock = std::map<const CUstream_st*, std::uint64_t>;

struct CUstream_st {
  VectorClock clock;
};

struct CUevent_st {
  VectorClock clock;
  std::uint64_t recorded = 0;
  std::uint64_t reached = 0;
};

namespace xtasc::test::nccl_double {

struct Collective {
  void* data = nullptr;
  std::size_t count = 0;
  std::size_t element_bytes = 0;
  MPI_Datatype type = MPI_DATATYPE_NULL;
  bool is_sum = false;
  cudaStream_t stream = nullptr;
};

}  // namespace xtasc::test::nccl_double

struct ncclComm {
  ncclResult_t state = ncclInProgress;
  int polls_left = 3;                                       // answers of "in progress" to come
  MPI_Request peers = MPI_REQUEST_NULL;                     // start-up and finalizing wait for all ranks
  std::vector<xtasc::test::nccl_double::Collective> group;  // ended, not yet on the stream
  bool is_finalized = false;
};

namespace xtasc::test::nccl_double {

struct Work {
  cudaStream_t stream = nullptr;
  std::function<void()> kernel;
  Collective collective;
  CUevent_st* event = nullptr;
  std::uint64_t record = 0;
  MPI_Request request = MPI_REQUEST_NULL;
};

struct Access {
  const char* begin;
  const char* end;
  const CUstream_st* by;
  std::uint64_t time;
};

/// The one device, and the record of what was done with it.
struct World {
  std::recursive_mutex mutex;
  std::thread::id main_thread = std::this_thread::get_id();
  MPI_Comm peers = MPI_COMM_NULL;
  std::deque<Work> queue;  // in the order of enqueuing, which is one that streams allow
  VectorClock host;
  std::vector<Access> accesses;
  std::vector<std::string> calls, faults;
  std::map<std::string, ncclResult_t> refusals;
  ncclResult_t async_error = ncclSuccess;
  bool is_stopped = false;
  std::atomic<int> num_calls_of_others = 0;  ///< of all threads but the main one
  int num_alive = 0;
  int group_depth = 0;
  ncclComm* group_comm = nullptr;
  ncclComm* comm = nullptr;
};
extern World world;

using Lock = std::lock_guard<std::recursive_mutex>;

[[nodiscard]] bool is_main();
/// Records a call, and a fault if it may not be made now.
void note(const std::string& call);
/// What refuse() asked for, once.
[[nodiscard]] ncclResult_t refusal(const std::string& call);
void merge(VectorClock& into, const VectorClock& from);
/// Checks against all earlier accesses that they happened before, and remembers this one. \param by  nullptr: the host
void access(const CUstream_st* by, VectorClock& clock, const void* data, std::size_t num_bytes);
void enqueue(Work work);
/// Runs what can run, if the main thread asks. \returns whether nothing is left on the stream (nullptr: on any)
[[nodiscard]] bool device_is_idle(cudaStream_t stream);

}  // namespace xtasc::test::nccl_double
