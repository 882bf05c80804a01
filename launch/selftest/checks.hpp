#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>

#include "dist/communicator.hpp"
#include "dist/gpu_assignment.hpp"
#include "dist/mpi_session.hpp"
#include "launch/selftest/runner.hpp"

namespace xtasc::launch {

/// What the checks run on.
struct Machine {
  const dist::MpiSession& session;
  at::Device device;
  dist::GpuSharing sharing;                   ///< whether ranks may share a GPU
  std::filesystem::path scratch;              ///< where folders for checkpoints are made; empty: the system's
  std::unique_ptr<dist::Communicator> world;  ///< of the device: MPI or NCCL, also for one rank; null: did not start
};

// Each runs its checks in order on all ranks.

/// The same program everywhere, a GPU for each rank; starts machine.world.
void check_machine(CheckRunner& runner, Machine& machine);
/// Sums, broadcasts and gathers against arithmetic that every rank does alone.
void check_communicator(CheckRunner& runner, const Machine& machine);
/// Training on all ranks against the same steps computed by each rank alone.
void check_ranks(CheckRunner& runner, const Machine& machine);
/// The device against one thread of the CPU: whole steps, batch norm, augmentation; repeatability.
void check_device(CheckRunner& runner, const Machine& machine);
/// CUDA graphs of whole steps, and a host that runs ahead of the device; skipped where the device is no GPU.
void check_cuda_graph(CheckRunner& runner, const Machine& machine);
/// Batch norm's passes over memory, as CUDA's kernels make them: the device against one thread of the CPU.
void check_norm_passes(CheckRunner& runner, const Machine& machine);
/// What follows a convolution in one pass: the device against one thread of the CPU.
void check_epilogues(CheckRunner& runner, const Machine& machine);
/// The pool that unpools know the places of: the device against the CPU.
void check_pool(CheckRunner& runner, const Machine& machine);
/// Checkpoints: what was saved comes back, damage is refused, a run that stopped goes on to the same bits.
void check_checkpoint(CheckRunner& runner, const Machine& machine);
/// How fast sums are.
void check_bandwidth(CheckRunner& runner, const Machine& machine);

}  // namespace xtasc::launch
