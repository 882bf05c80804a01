#pragma once

#include <cuda_runtime_api.h>
#include <mpi.h>
#include <nccl.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

/// How much each stream (and the host, as nullptr) had done when something happened.
using VectorClock = std::map<const CUstream_st*, std::uint64_t>;

struct CUstream_st {
  VectorClock clock;
  int number = 0;  // from 1, in the order of making
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
  MPI_Comm peers = MPI_COMM_NULL;
};

}  // namespace xtasc::test::nccl_double

struct ncclComm {
  bool is_blocking = true;
  MPI_Comm peers = MPI_COMM_NULL;
  ncclResult_t state = ncclSuccess;
  int polls_left = 0;                                       // answers of "in progress" to come, if not blocking
  std::vector<xtasc::test::nccl_double::Collective> group;  // ended, not yet on the stream
  bool is_finalized = false;
};

namespace xtasc::test::nccl_double {

struct Work {
  cudaStream_t stream = nullptr;
  std::function<void()> kernel;
  Collective collective;
  CUevent_st* event = nullptr;  // recorded here, or waited for
  std::uint64_t record = 0;
  bool waits = false;
  MPI_Request request = MPI_REQUEST_NULL;
};

struct Access {
  const char* begin;
  const char* end;
  const CUstream_st* by;
  std::uint64_t time;
};

/// Counts ranks that have come to a point, in memory that the ranks share: MPI is for the main thread alone.
class Gate {
 public:
  void open();
  void close();
  /// This rank comes to the next point. \returns how many must have come there before anyone may pass
  std::uint64_t arrive();
  [[nodiscard]] bool have_come(std::uint64_t number) const { return *arrived_ >= number; }

 private:
  MPI_Win window_ = MPI_WIN_NULL;
  std::atomic<std::uint64_t>* arrived_ = nullptr;
  std::uint64_t num_points_ = 0;
  std::uint64_t num_ranks_ = 0;
};

/// The one device, and the record of what was done with it.
struct World {
  std::recursive_mutex mutex;
  std::thread::id main_thread = std::this_thread::get_id();
  std::array<MPI_Comm, 2> peers = {MPI_COMM_NULL, MPI_COMM_NULL};  // of communicators, in turns
  Gate gate;
  std::deque<Work> queue;  // in the order of enqueuing; streams go on beside each other
  VectorClock host;
  std::vector<Access> accesses;
  std::vector<std::string> calls, faults, launches, variables;
  std::map<std::string, ncclResult_t> refusals;
  std::set<std::string> stalls;          ///< calls that do not return
  std::set<const CUstream_st*> stopped;  ///< streams that get no further
  ncclResult_t async_error = ncclSuccess;
  int version = NCCL_VERSION_CODE;
  bool is_stopped = false;
  std::atomic<int> num_calls_of_others = 0;  ///< of all threads but the main one
  int num_threads = 0;                       ///< that NCCL would have started
  int num_alive = 0;
  int num_ids = 0;
  int group_depth = 0;
  ncclComm* group_comm = nullptr;
  std::set<ncclComm*> comms;
};
extern World world;

using Lock = std::lock_guard<std::recursive_mutex>;

[[nodiscard]] bool is_main();
/// Records a call, and a fault if it may not be made now.
void note(const std::string& call);
/// What refuse() asked for, once.
[[nodiscard]] ncclResult_t refusal(const std::string& call);
/// Returns at once, but for calls that stall(): then when the stall is over. \returns whether there was one
bool stall_of(const std::string& call);
void merge(VectorClock& into, const VectorClock& from);
/// Checks against all earlier accesses that they happened before, and remembers this one. \param by  nullptr: the host
void access(const CUstream_st* by, VectorClock& clock, const void* data, std::size_t num_bytes);
void enqueue(Work work);
/// Runs what can run, if the main thread asks. \returns whether nothing is left on the stream (nullptr: on any)
[[nodiscard]] bool device_is_idle(cudaStream_t stream);

}  // namespace xtasc::test::nccl_double
