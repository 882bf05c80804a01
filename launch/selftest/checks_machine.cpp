#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/version.hpp"
#include "dist/gpu_assignment.hpp"
#include "gpu/gpu.hpp"
#include "launch/selftest/checks.hpp"
#include "train/setup.hpp"

namespace xtasc::launch {

namespace {

Finding same_program(const Machine& machine) {
  std::string own = version_text();
  for (const auto& [name, version] : train::library_versions(*dist::make_solo_communicator())) {
    own += fmt::format(", {} {}", name, version);
  }
  const auto all = machine.session.gather(own);
  if (own != all.front()) {
    return failed(fmt::format("{} here, {} on rank 0", own, all.front()));
  }
  return wanted(true, version_text(), "version and libraries as on rank 0");
}

/// The rule on a made-up host, where two ranks see one and the same GPU.
Finding shared_gpu_is_refused() {
  try {
    static_cast<void>(dist::assign_gpus({{"host", 0, {{"0000:01:00.0"}}}, {"host", 0, {{"0000:01:00.0"}}}}));
  } catch (const Error& error) {
    return wanted(error.code() == ExitCode::usage, "refused", "exit code 2");
  }
  return failed("two ranks were given the same GPU");
}

Finding own_gpu(const Machine& machine) {
  if (!machine.device.is_cuda()) {
    return skipped("device is cpu");
  }
  if (machine.sharing == dist::GpuSharing::allowed) {
    return skipped("ranks may share a GPU (--share-gpu)");
  }
  const std::string bus_id = gpu::bus_id(machine.device.index());
  const std::string own = fmt::format("{} {}", machine.session.host_leader(), bus_id);
  const auto all = machine.session.gather(own);
  const auto num_owners = std::count(all.begin(), all.end(), own);
  return wanted(num_owners == 1 && gpu::current() == machine.device.index(),
                fmt::format("{} rank{} on {}", num_owners, num_owners == 1 ? "" : "s", bus_id),
                "one, its current device");
}

std::unique_ptr<dist::Communicator> make_world(const Machine& machine) {
  if (machine.device.is_cuda()) {
    return dist::make_nccl_communicator(machine.session, machine.sharing);
  }
  return dist::make_mpi_communicator(machine.session);
}

}  // namespace

void check_machine(CheckRunner& runner, Machine& machine) {
  runner.run("machine", "every rank runs the same program", [&] { return same_program(machine); });
  runner.run("machine", "two ranks on one GPU are refused", [] { return shared_gpu_is_refused(); });
  runner.run("machine", "each rank has a GPU of its own", [&] { return own_gpu(machine); });
  const Row start = runner.run("machine", "the device's communicator starts", [&] {
    machine.world = make_world(machine);
    return wanted(
        machine.world->rank() == machine.session.rank() && machine.world->size() == machine.session.size(),
        fmt::format("{}, rank {} of {}", machine.world->backend(), machine.world->rank(), machine.world->size()),
        "as MPI counts");
  });
  if (start.finding.outcome == Outcome::fail) {
    machine.world.reset();
  }
}

}  // namespace xtasc::launch
