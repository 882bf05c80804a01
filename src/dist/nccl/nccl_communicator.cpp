// Not run on a GPU yet: compiled and linked against the real CUDA and NCCL on every build.
#include <ATen/ATen.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstdlib>
#include <vector>

#include "core/error.hpp"
#include "core/log.hpp"
#include "dist/communicator.hpp"
#include "dist/gpu_assignment.hpp"
#include "dist/nccl/nccl_environment.hpp"
#include "dist/nccl/nccl_protocol.hpp"
#include "gpu/gpu.hpp"

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
std::string own_place(const MpiSession& session, int device, GpuSharing sharing) {
  const RankGpus own{.host = host_name(), .host_leader = session.host_leader(), .gpus = {{gpu::bus_id(device)}}};
  std::vector<RankGpus> all;
  for (const std::string& text : session.gather(own.to_text())) {
    all.push_back(RankGpus::from_text(text));
  }
  static_cast<void>(assign_gpus(all, sharing));
  return fmt::format("{}, GPU {}", own.host, own.gpus[0].bus_id);
}

/// What NCCL is to find in its environment, said in the log where it is about numbers.
Variables variables_of(const MpiSession& session, GpuSharing sharing) {
  // Kernels of two communicators begin in the order of the calls, so that no two ranks wait for each other's:
  // https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html
  Variables variables = {{"NCCL_LAUNCH_ORDER_IMPLICIT", "1"}};
  const bool is_deterministic = at::globalContext().deterministicAlgorithms();
  const char* of_user = std::getenv("NCCL_ALGO");
  const NcclAlgorithms algorithms = choose_algorithms(is_deterministic, of_user, std::getenv("NCCL_NVLS_ENABLE"));
  if (of_user == nullptr && !algorithms.value.empty()) {
    variables.emplace_back("NCCL_ALGO", algorithms.value);
    log_info("NCCL_ALGO={}: sums by NVLS need not give the same bits twice, and train.deterministic is on",
             algorithms.value);
  }
  if (!algorithms.warning.empty()) {
    log_warning("{}", algorithms.warning);
  }
  if (sharing == GpuSharing::allowed) {
    const Variables more = variables_of_shared_gpu(fmt::format("{}-rank-{}", host_name(), session.rank()),
                                                   session.local_size() == session.size());
    variables.insert(variables.end(), more.begin(), more.end());
  }
  return variables;
}

NcclOptions options_of(const MpiSession& session, GpuSharing sharing) {
  NcclOptions options;
  if (const char* text = std::getenv("XTASC_NCCL_TIMEOUT_SECONDS")) {
    char* end = nullptr;
    const double seconds = std::strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds > 0.0 && seconds <= 1e6)) {
      fail_usage("XTASC_NCCL_TIMEOUT_SECONDS={}: a number of seconds above 0 expected", text);
    }
    options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000.0) + 1);
  }
  options.variables = variables_of(session, sharing);
  options.on_failure = [&session](const Error& error) { end_all_ranks(session, error); };
  return options;
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(const MpiSession& session, GpuSharing sharing)
      : session_(session),
        prompt_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true)),
        bulk_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true)),
        protocol_(session, c10::cuda::current_device(), own_place(session, c10::cuda::current_device(), sharing),
                  {.prompt = prompt_.stream(), .bulk = bulk_.stream()}, options_of(session, sharing)) {}

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
  void set_capturing(bool is_capturing) override { protocol_.set_capturing(is_capturing); }

  void broadcast(const at::Tensor& tensor) override { protocol_.broadcast(nccl_buffer(tensor), caller()); }

  [[nodiscard]] int rank() const override { return session_.rank(); }
  [[nodiscard]] int size() const override { return session_.size(); }
  [[nodiscard]] std::string_view backend() const override { return "NCCL"; }

 private:
  /// The caller's stream waits for NCCL's, so memory that the caller frees is not handed out again before NCCL is done
  /// with it: c10's allocator keeps it to the stream that it was allocated on.
  [[nodiscard]] static CUstream_st* caller() { return c10::cuda::getCurrentCUDAStream().stream(); }

  const MpiSession& session_;
  c10::cuda::CUDAStream prompt_, bulk_;
  NcclProtocol protocol_;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(const MpiSession& session, GpuSharing sharing) {
  return std::make_unique<NcclCommunicator>(session, sharing);
}

std::string nccl_library_version() {
  int version = 0;
  const ncclResult_t code = ncclGetVersion(&version);
  xtasc::check(code == ncclSuccess, "ncclGetVersion: {}", ncclGetErrorString(code));
  return nccl_version_text(version);
}

}  // namespace xtasc::dist
