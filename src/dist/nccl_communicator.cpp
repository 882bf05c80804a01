// Not run on a GPU yet: compiled and linked against the real CUDA and NCCL on every build.
#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "core/error.hpp"
#include "dist/communicator.hpp"
#include "dist/gpu_assignment.hpp"
#include "dist/nccl_protocol.hpp"

namespace xtasc::dist {

namespace {

NcclElement nccl_element(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return NcclElement::float32;
    case at::kDouble:
      return NcclElement::float64;
    case at::kLong:
      return NcclElement::int64;
    default:
      fail("NCCL communicator: tensors of {} are not summed, use float32, float64 or int64", c10::toString(type));
  }
}

NcclBuffer nccl_buffer(const at::Tensor& tensor) {
  xtasc::check(tensor.is_cuda() && tensor.is_non_overlapping_and_dense(),
               "NCCL communicator: a dense CUDA tensor expected, found one on {}", tensor.device().str());
  return {tensor.mutable_data_ptr(), static_cast<std::size_t>(tensor.numel()), nccl_element(tensor.scalar_type())};
}

/// Host and GPU of this rank; refuses two ranks on one GPU, where NCCL would fail later and say less. Collective.
std::string own_place(const MpiSession& session, int device) {
  const RankGpus own{host_name(), {gpu_bus_id(device)}};
  std::vector<RankGpus> all;
  for (const std::string& text : session.gather(own.to_text())) {
    all.push_back(RankGpus::from_text(text));
  }
  static_cast<void>(assign_gpus(all));
  return fmt::format("{}, GPU {}", own.host, own.bus_ids[0]);
}

NcclOptions options_of(const MpiSession& session) {
  NcclOptions options;
  if (const char* text = std::getenv("XTASC_NCCL_TIMEOUT_SECONDS")) {
    char* end = nullptr;
    const double seconds = std::strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds > 0.0 && seconds <= 1e6)) {
      fail_usage("XTASC_NCCL_TIMEOUT_SECONDS={}: a number of seconds above 0 expected", text);
    }
    options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000.0) + 1);
  }
  options.on_failure = [&session](const Error& error) { end_all_ranks(session, error); };
  return options;
}

class NcclCommunicator final : public Communicator {
 public:
  explicit NcclCommunicator(const MpiSession& session)
      : session_(session),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true)),
        protocol_(session, c10::cuda::current_device(), own_place(session, c10::cuda::current_device()),
                  stream_.stream(), options_of(session)) {}

  void sum(const at::Tensor& tensor) override { sum_all({&tensor, 1}); }

  void sum_all(std::span<const at::Tensor> tensors) override {
    std::vector<NcclBuffer> buffers;
    for (const at::Tensor& tensor : tensors) {
      buffers.push_back(nccl_buffer(tensor));
    }
    protocol_.sum(buffers, caller());
  }

  void start_sum(const at::Tensor& tensor) override {
    const NcclBuffer buffer = nccl_buffer(tensor);
    protocol_.start_sum({&buffer, 1}, caller());
  }
  void join() override { protocol_.join(caller()); }
  [[nodiscard]] bool overlaps() const override { return true; }
  void set_recording(bool is_recording) override { protocol_.set_recording(is_recording); }

  void broadcast(const at::Tensor& tensor) override { protocol_.broadcast(nccl_buffer(tensor), caller()); }

  [[nodiscard]] int rank() const override { return session_.rank(); }
  [[nodiscard]] int size() const override { return session_.size(); }
  [[nodiscard]] std::string_view backend() const override { return "NCCL"; }

 private:
  /// The caller's stream waits for NCCL's, so memory that the caller frees is not handed out again before NCCL is done
  /// with it: c10's allocator keeps it to the stream that it was allocated on.
  [[nodiscard]] static CUstream_st* caller() { return c10::cuda::getCurrentCUDAStream().stream(); }

  const MpiSession& session_;
  c10::cuda::CUDAStream stream_;
  NcclProtocol protocol_;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(const MpiSession& session) {
  return std::make_unique<NcclCommunicator>(session);
}

std::string gpu_bus_id(int device) {
  std::array<char, 32> id{};
  C10_CUDA_CHECK(cudaDeviceGetPCIBusId(id.data(), static_cast<int>(id.size()), device));
  return id.data();
}

std::string nccl_library_version() {
  int version = 0;
  const ncclResult_t code = ncclGetVersion(&version);
  xtasc::check(code == ncclSuccess, "ncclGetVersion: {}", ncclGetErrorString(code));
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace xtasc::dist
