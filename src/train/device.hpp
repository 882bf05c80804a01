#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "config/run_config.hpp"
#include "dist/gpu_assignment.hpp"
#include "dist/mpi_session.hpp"

namespace xtasc::train {

/// What run.share_gpu means.
[[nodiscard]] dist::GpuSharing sharing_of(const config::RunSection& run);

/// The device of this rank: one GPU for each rank (see dist::assign_gpus), or the CPU. Collective.
/// \throws Error (exit code 2) when CUDA is asked for and not there, when there is a GPU that cannot be used and nobody
/// asked for the CPU, when ranks would share a GPU and may not, or when the ranks' environments let NCCL sum in
/// different ways.
[[nodiscard]] at::Device choose_device(const config::RunSection& run, const dist::MpiSession& session);

/// "cpu (AMD EPYC, 1 thread)" or "cuda:0 (NVIDIA H200)".
[[nodiscard]] std::string describe_device(at::Device device);

/// What the log says about a precision that leaves most of the device unused; empty: nothing.
[[nodiscard]] std::string advice_on_precision(at::DeviceType device, config::Precision precision);

}  // namespace xtasc::train
