// Not run on a GPU yet: compiled and linked against the real CUDA on every build.
#include <ATen/ATen.h>
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "train/captured_step.hpp"

namespace xtasc::train {

namespace {

/// While it lives the communicator leaves its stream to the capture.
class Capture {
 public:
  explicit Capture(dist::Communicator& communicator) : communicator_(communicator) {
    communicator_.set_capturing(true);
  }
  ~Capture() { communicator_.set_capturing(false); }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

 private:
  dist::Communicator& communicator_;
};

class CudaRecorder final : public GraphCapture {
 public:
  CudaRecorder(dist::Communicator& communicator, c10::MempoolId_t pool) : communicator_(communicator), pool_(pool) {}

  void capture(const std::function<void()>& work) override {
    // Nothing else may be under way: the default stream cannot record, and no other work may slip in.
    c10::cuda::device_synchronize();
    // The graph keeps memory of its own: what plain steps left in the allocator would lie idle from now on.
    c10::cuda::CUDACachingAllocator::emptyCache();
    const Capture capture(communicator_);
    const c10::cuda::CUDAStreamGuard side(c10::cuda::getStreamFromPool());
    // Other threads (autograd's, the watchdogs') go on calling CUDA meanwhile.
    graph_.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
    try {
      work();
      graph_.capture_end();
    } catch (...) {
      abandon();
      throw;
    }
  }

  void replay() override { graph_.replay(); }

 private:
  /// Leaves stream, allocators and CUDA's error state as if nothing had been captured.
  ///
  /// CUDAGraph::capture_end() throws before it hands the pool back when the stream's capture has become invalid, and
  /// ~CUDAGraph() releases only pools that were handed back; the allocator would take every allocation for one of the
  /// graph, for ever. Where it did hand the pool back, doing so again throws, and ~CUDAGraph() does the rest.
  /// Source: https://github.com/pytorch/pytorch/issues/180395
  void abandon() {
    const auto quietly = [](const auto& call) {
      try {
        call();
        return true;
      } catch (const std::exception& /*echo of the failure*/) {
        return false;
      }
    };
    quietly([&] { graph_.capture_end(); });
    const auto device = c10::cuda::current_device();
    if (quietly([&] { c10::cuda::CUDACachingAllocator::endAllocateToPool(device, pool_); })) {
      quietly([&] { c10::cuda::CUDACachingAllocator::releasePool(device, pool_); });
    }
    at::HostAllocator* host = at::getHostAllocator(at::kCUDA);
    if (quietly([&] { host->end_allocate_to_pool(pool_); })) {
      quietly([&] { host->release_pool(pool_); });
    }
    static_cast<void>(cudaGetLastError());
  }

  dist::Communicator& communicator_;
  c10::MempoolId_t pool_;
  at::cuda::CUDAGraph graph_;
};

}  // namespace

MakeGraphCapture cuda_graph_captures(dist::Communicator& communicator) {
  // One pool for all batch sizes: one graph runs at a time, and what a graph returns stays allocated with its
  // capture.
  return [&communicator, pool = at::cuda::graph_pool_handle()] {
    return std::make_unique<CudaRecorder>(communicator, pool);
  };
}

}  // namespace xtasc::train
