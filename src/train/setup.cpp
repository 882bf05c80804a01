#include "train/setup.hpp"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/version.h>
#ifdef XTASC_WITH_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAFunctions.h>
#endif

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>

#include "core/error.hpp"
#include "core/log.hpp"
#include "io/hdf5.hpp"
#include "tensorfile/tensor_file.hpp"

namespace xtasc::train {

namespace {

int num_gpus() {
#ifdef XTASC_WITH_CUDA
  return c10::cuda::device_count();
#else
  return 0;
#endif
}

std::string cpu_model() {
  std::ifstream stream("/proc/cpuinfo");
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("model name")) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "unknown processor";
}

/// The cores that this rank may use, divided by the ranks that may use the very same ones: launchers bind ranks to cores, or
/// let all of a host share them. Collective.
int threads_of_this_rank(const dist::MpiSession& session) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
    return 1;
  }
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  const std::string mine = host.data() + std::string(reinterpret_cast<const char*>(&allowed), sizeof(allowed));
  const auto all = session.gather(mine);
  return std::max(1, CPU_COUNT(&allowed) / static_cast<int>(std::count(all.begin(), all.end(), mine)));
}

std::vector<optim::Adam::Group> groups_of(const model::Net& net, const weighting::TaskWeighting& weighting) {
  std::vector<optim::Adam::Group> groups = {{"net", net.parameters().flat_values(), net.parameters().flat_gradients()}};
  if (weighting.flat_values().defined()) {
    groups.push_back({"weighting", weighting.flat_values(), weighting.flat_gradients()});
  }
  return groups;
}

/// Copies by name; collects what does not fit instead of stopping at the first.
void copy_by_name(const std::vector<std::pair<std::string, at::Tensor>>& targets,
                  const std::map<std::string, at::Tensor>& tensors, const std::string& source) {
  const c10::NoGradGuard no_grad;
  std::vector<std::string> faults;
  std::set<std::string> known;
  for (const auto& [name, target] : targets) {
    known.insert(name);
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      faults.push_back(fmt::format("missing: {} ({})", name, fmt::join(target.sizes(), " x ")));
    } else if (found->second.sizes() != target.sizes()) {
      faults.push_back(fmt::format("{} is {}, {} expected", name, fmt::join(found->second.sizes(), " x "),
                                   fmt::join(target.sizes(), " x ")));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!known.contains(name) && !name.ends_with("num_batches_tracked")) {
      faults.push_back(fmt::format("left over: {} ({})", name, fmt::join(tensor.sizes(), " x ")));
    }
  }
  if (!faults.empty()) {
    throw Error(fmt::format("{}: {} tensors do not fit the model", source, faults.size()), ExitCode::failure, faults);
  }
  for (const auto& [name, target] : targets) {
    target.detach().copy_(tensors.at(name));
  }
}

}  // namespace

Types types_of(config::Precision precision) {
  switch (precision) {
    case config::Precision::fp32:
    case config::Precision::tf32:
      return {at::kFloat, at::kFloat};
    case config::Precision::bf16:
      return {at::kFloat, at::kBFloat16};
    case config::Precision::fp64:
      return {at::kDouble, at::kDouble};
  }
  fail("unknown precision {}", static_cast<int>(precision));
}

at::Device choose_device(config::Device wanted, const dist::MpiSession& session) {
  const int gpus = num_gpus();
  if (wanted == config::Device::cpu || (wanted == config::Device::automatic && gpus == 0)) {
    return at::kCPU;
  }
#ifdef XTASC_WITH_CUDA
  if (gpus == 0) {
    fail_usage(
        "run.device = \"cuda\", but no GPU is visible on this host: use --set run.device=cpu, or check "
        "CUDA_VISIBLE_DEVICES");
  }
  if (session.local_size() > gpus) {
    fail_usage("{} ranks on a host with {} visible GPUs: start one rank for each GPU", session.local_size(), gpus);
  }
  const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(session.local_rank()));
  c10::cuda::set_device(device.index());
  log_warning(
      "the CUDA path compiles and links, but has not been run on a GPU yet: run the tests on this machine first");
  return device;
#else
  static_cast<void>(session);
  fail_usage(
      "run.device = \"cuda\", but this build has no CUDA: use --set run.device=cpu, or build with nvcc and a CUDA "
      "LibTorch");
#endif
}

void configure_torch(const config::RunConfig& config, const dist::MpiSession& session) {
  const int share = threads_of_this_rank(session);
  at::set_num_threads(config.run.threads > 0 ? static_cast<int>(config.run.threads) : share);
  at::globalContext().setDeterministicAlgorithms(config.train.deterministic, /*warn_only=*/true);
  // Deterministic mode would also fill every new tensor with NaN: a memory pass for each, and nothing here reads such memory.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  at::globalContext().setDeterministicCuDNN(config.train.deterministic);
  at::globalContext().setBenchmarkCuDNN(!config.train.deterministic);
  const bool tf32 = config.run.precision == config::Precision::tf32;
  at::globalContext().setAllowTF32CuDNN(tf32);
  at::globalContext().setAllowTF32CuBLAS(tf32);
}

std::string describe_device(at::Device device) {
#ifdef XTASC_WITH_CUDA
  if (device.is_cuda()) {
    return fmt::format("{} ({})", device.str(), at::cuda::getDeviceProperties(device.index())->name);
  }
#endif
  return fmt::format("{} ({}, {} thread{})", device.str(), cpu_model(), at::get_num_threads(),
                     at::get_num_threads() == 1 ? "" : "s");
}

std::map<std::string, std::string> library_versions(const dist::Communicator& communicator) {
  std::map<std::string, std::string> versions = {{"torch", TORCH_VERSION}, {"mpi", dist::mpi_library_version()},
                                                 {"hdf5", io::hdf5_library_version()}};
  versions["communicator"] = communicator.backend();
#ifdef XTASC_WITH_CUDA
  versions["cuda"] = std::to_string(CUDART_VERSION);
  versions["nccl"] = dist::nccl_library_version();
#endif
  return versions;
}

Learner::Learner(const config::RunConfig& config, std::int64_t num_classes, at::Device device)
    : types(types_of(config.run.precision)),
      net(config.model, num_classes, static_cast<std::uint64_t>(config.run.seed), device, types.storage),
      weighting(weighting::make_task_weighting(config.weighting, static_cast<std::uint64_t>(config.run.seed),
                                               at::TensorOptions().dtype(types.storage).device(device))),
      adam(groups_of(net, *weighting), {.beta1 = config.train.betas[0], .beta2 = config.train.betas[1]}) {}

std::vector<std::pair<std::string, at::Tensor>> Learner::weights() const {
  std::vector<std::pair<std::string, at::Tensor>> all;
  for (const auto& [name, tensor] : net.parameters().parameters()) {
    all.emplace_back(name, tensor);
  }
  for (const auto& [name, tensor] : net.parameters().buffers()) {
    all.emplace_back(name, tensor);
  }
  for (const auto& named : weighting->weights()) {
    all.push_back(named);
  }
  return all;
}

std::vector<std::pair<std::string, at::Tensor>> Learner::state() const {
  auto all = adam.state();
  for (const auto& named : weighting->state()) {
    all.push_back(named);
  }
  return all;
}

void load_weights(const Learner& learner, const std::string& source, const std::map<std::string, at::Tensor>& tensors) {
  copy_by_name(learner.weights(), tensors, source);
}

void load_encoder_weights(const Learner& learner, const std::string& path) {
  constexpr std::string_view kPrefix = "encoder.";
  std::map<std::string, at::Tensor> tensors;
  std::vector<std::string> unused;
  for (auto& [name, tensor] : tensorfile::read_tensor_dict(path)) {
    if (name.starts_with("fc.")) {
      unused.push_back(name);
    } else {
      tensors.emplace(std::string(kPrefix) + name, tensor);
    }
  }
  if (!unused.empty()) {
    log_info("{}: {} not used", path, fmt::join(unused, ", "));
  }
  std::vector<std::pair<std::string, at::Tensor>> encoder;
  for (const auto& [name, tensor] : learner.weights()) {
    if (name.starts_with(kPrefix)) {
      encoder.emplace_back(name, tensor);
    }
  }
  copy_by_name(encoder, tensors, path);
}

void broadcast_state(const Learner& learner, dist::Communicator& communicator) {
  communicator.broadcast(learner.net.parameters().flat_values());
  for (const auto& [name, tensor] : learner.net.parameters().buffers()) {
    communicator.broadcast(tensor);
  }
  for (const auto& [name, tensor] : learner.weighting->weights()) {
    communicator.broadcast(tensor);
  }
  for (const auto& [name, tensor] : learner.state()) {
    communicator.broadcast(tensor);
  }
}

}  // namespace xtasc::train
