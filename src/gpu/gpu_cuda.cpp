#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>
#include <nvtx3/nvToolsExt.h>

#include <array>

#include "gpu/gpu.hpp"

namespace xtasc::gpu {

std::optional<Versions> versions() {
  Versions found = {.compiled = CUDART_VERSION};
  static_cast<void>(cudaRuntimeGetVersion(&found.loaded));
  return found;
}

Presence presence() {
  Presence found;
  const cudaError_t code = cudaGetDeviceCount(&found.num_gpus);
  static_cast<void>(cudaGetLastError());  // CUDA keeps it for the next who asks
  found.num_gpus = code == cudaSuccess ? found.num_gpus : 0;
  static_cast<void>(cudaDriverGetVersion(&found.driver_cuda));
  static_cast<void>(cudaRuntimeGetVersion(&found.runtime_cuda));
  if (code == cudaErrorInsufficientDriver) {
    found.answer = Answer::driver_too_old;
  } else if (code == cudaErrorNoDevice || (code == cudaSuccess && found.num_gpus == 0)) {
    found.answer = Answer::none;
  } else if (code != cudaSuccess) {
    found.answer = Answer::failure;
    found.cuda_words = cudaGetErrorString(code);
  } else {
    found.answer = Answer::some;
  }
  return found;
}

std::string bus_id(int index) {
  std::array<char, 32> id{};
  C10_CUDA_CHECK(cudaDeviceGetPCIBusId(id.data(), static_cast<int>(id.size()), index));
  return id.data();
}

std::string name(int index) {
  return at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index))->name;
}

int current() {
  return c10::cuda::current_device();
}

void make_current(int index) {
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(index));
}

void synchronize() {
  c10::cuda::device_synchronize();
}

Memory memory(int index) {
  using c10::CachingAllocator::StatType;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(index));
  const auto all = static_cast<std::size_t>(StatType::AGGREGATE);
  return {.peak_allocated = stats.allocated_bytes[all].peak,
          .reserved = stats.reserved_bytes[all].current,
          .peak_reserved = stats.reserved_bytes[all].peak};
}

void release_cached_memory() {
  c10::cuda::CUDACachingAllocator::emptyCache();
}

void push_range(const std::string& name) {
  nvtxRangePushA(name.c_str());
}

void pop_range() {
  nvtxRangePop();
}

WaitingThrows::WaitingThrows() {
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR);
}
WaitingThrows::~WaitingThrows() {
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_DISABLED);
}

}  // namespace xtasc::gpu
