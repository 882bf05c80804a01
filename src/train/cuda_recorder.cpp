// Not run on a GPU yet: compiled and linked against the real CUDA on every build.
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "train/captured_step.hpp"

namespace xtasc::train {

namespace {

/// While it lives the communicator leaves its stream to the recording.
class Recording {
 public:
  explicit Recording(dist::Communicator& communicator) : communicator_(communicator) {
    communicator_.set_recording(true);
  }
  ~Recording() { communicator_.set_recording(false); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  dist::Communicator& communicator_;
};

class CudaRecorder final : public Recorder {
 public:
  explicit CudaRecorder(dist::Communicator& communicator) : communicator_(communicator) {}

  void record(const std::function<void()>& work) override {
    // Nothing else may be under way: the default stream cannot record, and no other work may slip in.
    c10::cuda::device_synchronize();
    const Recording recording(communicator_);
    const c10::cuda::CUDAStreamGuard side(c10::cuda::getStreamFromPool());
    // Other threads (autograd's, the watchdogs') go on calling CUDA meanwhile.
    graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      abandon();
      throw;
    }
    graph_.capture_end();
  }

  void replay() override { graph_.replay(); }

 private:
  /// Ends a capture that failed; what it reports then is the failure's echo.
  void abandon() {
    try {
      graph_.capture_end();
    } catch (const std::exception& /*echo*/) {
      static_cast<void>(cudaGetLastError());
    }
  }

  dist::Communicator& communicator_;
  at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<Recorder> make_cuda_recorder(dist::Communicator& communicator) {
  return std::make_unique<CudaRecorder>(communicator);
}

}  // namespace xtasc::train
