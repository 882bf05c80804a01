// Not run on a GPU yet: compiled and linked against the real CUDA and NCCL on every build.
#include <ATen/ATen.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstring>
#include <map>
#include <utility>

#include "core/error.hpp"
#include "dist/communicator.hpp"

namespace xtasc::dist {

namespace {

struct CudaCode {
  cudaError_t value;
};

struct NcclCode {
  ncclResult_t value;
};

void check(CudaCode code, std::string_view what) {
  xtasc::check(code.value == cudaSuccess, "{}: {}", what, cudaGetErrorString(code.value));
}

void check(NcclCode code, ncclComm_t comm, std::string_view what) {
  if (code.value != ncclSuccess) {
    fail("{}: {} ({}); NCCL_DEBUG=INFO tells more, NCCL_SOCKET_IFNAME chooses the network", what,
         ncclGetErrorString(code.value), ncclGetLastError(comm));
  }
}

/// A CUDA event without timing, for ordering two streams.
class Event {
 public:
  Event() { check(CudaCode{cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)}, "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Everything enqueued on `before` so far happens before whatever `after` is given from now on.
  void order(cudaStream_t before, cudaStream_t after) {
    check(CudaCode{cudaEventRecord(event_, before)}, "cudaEventRecord");
    check(CudaCode{cudaStreamWaitEvent(after, event_, 0)}, "cudaStreamWaitEvent");
  }

 private:
  cudaEvent_t event_ = nullptr;
};

ncclDataType_t nccl_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kLong:
      return ncclInt64;
    default:
      fail("NCCL communicator: tensors of {} are not summed, use float32, float64 or int64", c10::toString(type));
  }
}

/// Refuses two ranks on one GPU, with the table that shows them: NCCL would fail later and say less.
void check_one_rank_per_gpu(const MpiSession& session, int device) {
  cudaDeviceProp properties{};
  check(CudaCode{cudaGetDeviceProperties(&properties, device)}, "cudaGetDeviceProperties");
  const std::string id(properties.uuid.bytes, sizeof(properties.uuid.bytes));
  const auto ids = session.gather(id);
  const auto labels = session.gather(fmt::format("cuda:{} ({})", device, properties.name));
  std::map<std::string, std::size_t> owner;
  for (std::size_t rank = 0; rank < ids.size(); ++rank) {
    const auto [first, is_new] = owner.emplace(ids[rank], rank);
    xtasc::check(is_new, "ranks {} and {} share one GPU, {}: start one rank for each GPU", first->second, rank,
                 labels[rank]);
  }
}

class NcclCommunicator final : public Communicator {
 public:
  explicit NcclCommunicator(const MpiSession& session)
      : rank_(session.rank()), size_(session.size()), stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true)) {
    check_one_rank_per_gpu(session, c10::cuda::current_device());
    ncclUniqueId id{};
    if (rank_ == 0) {
      check(NcclCode{ncclGetUniqueId(&id)}, nullptr, "ncclGetUniqueId");
    }
    const std::string bytes = session.broadcast(std::string(id.internal, sizeof(id.internal)));
    std::memcpy(id.internal, bytes.data(), sizeof(id.internal));
    check(NcclCode{ncclCommInitRank(&comm_, size_, id, rank_)}, comm_, "ncclCommInitRank");
  }

  ~NcclCommunicator() override {
    cudaStreamSynchronize(stream_.stream());
    ncclCommFinalize(comm_);
    ncclCommDestroy(comm_);
  }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  void sum(const at::Tensor& tensor) override {
    run(tensor, [&](void* data, std::size_t count, ncclDataType_t type) {
      check(NcclCode{ncclAllReduce(data, data, count, type, ncclSum, comm_, stream_.stream())}, comm_, "ncclAllReduce");
    });
  }

  void broadcast(const at::Tensor& tensor) override {
    run(tensor, [&](void* data, std::size_t count, ncclDataType_t type) {
      check(NcclCode{ncclBroadcast(data, data, count, type, 0, comm_, stream_.stream())}, comm_, "ncclBroadcast");
    });
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }
  [[nodiscard]] std::string_view backend() const override { return "NCCL"; }

 private:
  /// Enqueues `call` on our own stream, after what the caller's stream holds and before what it gets next.
  template <typename Call>
  void run(const at::Tensor& tensor, const Call& call) {
    xtasc::check(tensor.is_cuda() && tensor.is_non_overlapping_and_dense(),
                 "NCCL communicator: a dense CUDA tensor expected, found one on {}", tensor.device().str());
    ncclResult_t state = ncclSuccess;
    check(NcclCode{ncclCommGetAsyncError(comm_, &state)}, comm_, "ncclCommGetAsyncError");
    check(NcclCode{state}, comm_, "an earlier NCCL call");
    const cudaStream_t caller = c10::cuda::getCurrentCUDAStream().stream();
    before_.order(caller, stream_.stream());
    call(tensor.mutable_data_ptr(), static_cast<std::size_t>(tensor.numel()), nccl_type(tensor.scalar_type()));
    after_.order(stream_.stream(), caller);
  }

  int rank_;
  int size_;
  c10::cuda::CUDAStream stream_;
  Event before_;
  Event after_;
  ncclComm_t comm_ = nullptr;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(const MpiSession& session) {
  return std::make_unique<NcclCommunicator>(session);
}

std::string nccl_library_version() {
  int version = 0;
  check(NcclCode{ncclGetVersion(&version)}, nullptr, "ncclGetVersion");
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace xtasc::dist
