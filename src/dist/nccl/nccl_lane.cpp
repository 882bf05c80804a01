// Not run on a GPU yet: compiled and linked against the real CUDA and NCCL on every build, and tested with a double.
#include "dist/nccl/nccl_lane.hpp"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <future>
#include <thread>
#include <utility>

#include "core/error.hpp"

namespace xtasc::dist {

namespace {

/// A return code of CUDA, for check().
struct CudaCode {
  cudaError_t value;
};

void check(CudaCode code, std::string_view what) {
  xtasc::check(code.value == cudaSuccess, "{}: {}", what, cudaGetErrorString(code.value));
}

}  // namespace

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

std::optional<int> call_with_timeout(std::function<int()> call, std::chrono::milliseconds timeout) {
  auto task = std::make_shared<std::packaged_task<int()>>(std::move(call));
  std::future<int> code = task->get_future();
  std::thread([task] { (*task)(); }).detach();
  if (code.wait_for(timeout) != std::future_status::ready) {
    return std::nullopt;
  }
  return code.get();
}

void NcclAbort::operator()(ncclComm* comm) const noexcept {
  // Peers that are gone can keep it from returning; then the message of what went wrong must not wait for it.
  constexpr std::chrono::seconds kPatience(10);
  try {
    static_cast<void>(call_with_timeout([comm] { return static_cast<int>(ncclCommAbort(comm)); }, kPatience));
  } catch (...) {  // no thread to be had: the process ends soon anyway
  }
}

}  // namespace xtasc::dist
