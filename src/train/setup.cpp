#include "train/setup.hpp"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <latch>
#include <system_error>
#include <thread>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "gpu/gpu.hpp"
#include "io/hdf5/hdf5.hpp"
#include "loss/distillation.hpp"
#include "optim/sgd.hpp"
#include "pack/verify.hpp"
#include "train/memory.hpp"
#include "train/transfers.hpp"

namespace xtasc::train {

namespace {

/// The cores that this rank may use, divided by the ranks that may use the very same ones: launchers bind ranks to
/// cores, or let all of a host share them. Collective.
int threads_of_this_rank(const dist::MpiSession& session) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
    return 1;
  }
  const std::string mine = std::to_string(session.host_leader()) + ' ' +
                           std::string(reinterpret_cast<const char*>(&allowed), sizeof(allowed));
  const auto all = session.gather(mine);
  return std::max(1, CPU_COUNT(&allowed) / static_cast<int>(std::count(all.begin(), all.end(), mine)));
}

/// OpenMP ends the process where it gets fewer threads than it was told to use. \throws Error when there are fewer
void check_threads(int count) {
  std::latch gate(1);
  std::vector<std::jthread> threads;
  int code = 0;
  try {
    for (int i = 1; i < count; ++i) {
      threads.emplace_back([&gate] { gate.wait(); });
    }
  } catch (const std::system_error& error) {
    code = error.code().value();
  }
  gate.count_down();
  check(code == 0,
        "{} of {} threads can be started ({}): set run.threads to fewer, or raise what this user or container may have "
        "(ulimit -u, a pids limit)",
        threads.size() + 1, count, errno_text(code));
}

std::unique_ptr<optim::Optimizer> optimizer_of(const model::Network& net, const config::TrainSection& train,
                                               const weighting::TaskWeighting& weighting) {
  const model::ParameterSet& set = net.parameters();
  const std::size_t first_adaptor = set.parameters().size() - net.num_adaptors();
  std::vector<optim::Group> groups = {{.name = "net",
                                       .values = set.flat_values(0, first_adaptor),
                                       .gradients = set.flat_gradients(0, first_adaptor),
                                       .weight_decay = train.weight_decay}};
  if (weighting.flat_values().defined()) {
    groups.push_back({.name = "weighting", .values = weighting.flat_values(), .gradients = weighting.flat_gradients()});
  }
  switch (train.optimizer) {
    case config::Optimizer::adam:
    case config::Optimizer::adamw:
      return std::make_unique<optim::Adam>(
          std::move(groups),
          optim::Adam::Options{.beta1 = train.betas[0],
                               .beta2 = train.betas[1],
                               .decouples_weight_decay = train.optimizer == config::Optimizer::adamw});
    case config::Optimizer::sgd:
      return std::make_unique<optim::Sgd>(std::move(groups), train.momentum);
  }
  fail("unknown optimizer {}", static_cast<int>(train.optimizer));
}

std::optional<optim::Adam> adam_of_adaptors(const model::Network& net, const config::RunConfig& config) {
  if (net.num_adaptors() == 0) {
    return std::nullopt;
  }
  const model::ParameterSet& set = net.parameters();
  const std::size_t all = set.parameters().size();
  const std::size_t first = all - net.num_adaptors();
  optim::Adam adam({{.name = "adaptors",
                     .values = set.flat_values(first, all),
                     .gradients = set.flat_gradients(first, all),
                     .weight_decay = config.distillation.adaptor_weight_decay}},
                   {.beta1 = config.train.betas[0], .beta2 = config.train.betas[1]});
  adam.set_learning_rate(config.distillation.adaptor_learning_rate);
  return adam;
}

}  // namespace

std::unique_ptr<loss::Objective> objective_of(const config::RunConfig& config, const model::Network& net,
                                              TransfersOf transfers) {
  const config::System& system = config::system_of(config.model);
  const std::int64_t at_once =
      transfers == TransfersOf::a_step && draws_transfers(config) ? config.model.transfers_per_task : 0;
  auto plain = loss::make_objective(system.consistency, config.loss, net.tasks(), net.transfers(), at_once);
  return net.num_adaptors() == 0 ? std::move(plain) : loss::with_distillation(std::move(plain), config.distillation);
}

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

void configure_torch(const config::RunConfig& config, const dist::MpiSession& session) {
  keep_memory();
  const int share = threads_of_this_rank(session);
  const int num_threads = config.run.threads > 0 ? static_cast<int>(config.run.threads) : share;
  check_threads(num_threads);
  at::set_num_threads(num_threads);
  at::globalContext().setDeterministicAlgorithms(config.train.deterministic, /*warn_only=*/true);
  // Deterministic mode would also fill every new tensor with NaN: a memory pass for each, and nothing here reads such
  // memory.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  at::globalContext().setDeterministicCuDNN(config.train.deterministic);
  at::globalContext().setBenchmarkCuDNN(!config.train.deterministic);
  const bool tf32 = config.run.precision == config::Precision::tf32;
  at::globalContext().setAllowTF32CuDNN(tf32);
  at::globalContext().setAllowTF32CuBLAS(tf32);
}

std::map<std::string, std::string> library_versions(const dist::Communicator& communicator) {
  std::map<std::string, std::string> versions = {
      {"torch", TORCH_VERSION}, {"mpi", dist::mpi_library_version()}, {"hdf5", io::hdf5_library_version()}};
  versions["communicator"] = communicator.backend();
  if (const auto cuda = gpu::versions()) {
    versions["cuda"] = std::to_string(cuda->compiled);
    versions["nccl"] = dist::nccl_library_version();
  }
  if (communicator.backend() == "NCCL") {
    const char* algorithms = std::getenv("NCCL_ALGO");
    versions["nccl_algo"] = algorithms == nullptr ? "NCCL's choice" : algorithms;
  }
  return versions;
}

void verify_pack(const dist::MpiSession& session, const std::string& path, ProgramWatch& watch) {
  watch.rest();
  if (session.rank() == 0) {
    const pack::Report report = pack::verify(
        path, [&watch](std::int64_t done, std::int64_t /*total*/) { watch.beat("verifying sample", done); });
    if (!report.faults.empty()) {
      throw Error(fmt::format("{} is damaged", path), ExitCode::failure, report.faults);
    }
    log_info("{}: every sample is as it was packed", path);
  }
  session.barrier();
}

Learner::Learner(const config::RunConfig& config, const net::Sizes& sizes, at::Device device)
    : types(types_of(config.run.precision)),
      network(
          model::make_network(config.model, sizes, static_cast<std::uint64_t>(config.run.seed), device, types.storage)),
      net(*network),
      objective(objective_of(config, net, TransfersOf::a_step)),
      weighting(weighting::make_task_weighting({.section = config.weighting,
                                                .num_tasks = static_cast<std::int64_t>(net.tasks().size()),
                                                .num_values = net.parameters().flat_values().numel(),
                                                .seed = static_cast<std::uint64_t>(config.run.seed),
                                                .tensors = at::TensorOptions().dtype(types.storage).device(device)})),
      optimizer(optimizer_of(net, config.train, *weighting)),
      adaptors_adam(adam_of_adaptors(net, config)) {}

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
  auto all = optimizer->state();
  const auto add = [&all](const auto& others) { all.insert(all.end(), others.begin(), others.end()); };
  if (adaptors_adam) {
    add(adaptors_adam->state());
  }
  add(weighting->state());
  return all;
}

void load_teachers(Learner& learner, const config::RunConfig& config, const net::Sizes& sizes,
                   const TeacherWeights& weights, dist::Communicator& communicator) {
  if (with_random_teachers(learner, config, sizes).teachers) {
    learner.teachers->load(weights, communicator);
  }
}

Learner& with_random_teachers(Learner& learner, const config::RunConfig& config, const net::Sizes& sizes) {
  if (config::system_of(config.model).uses("distillation.")) {
    learner.teachers =
        std::make_unique<Teachers>(config, sizes, learner.net.parameters().device(), learner.types.storage);
  }
  return learner;
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
