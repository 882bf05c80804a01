#include "launch/bench/memory.hpp"

#include <sys/resource.h>

#ifdef XTASC_WITH_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#endif

#include <fstream>
#include <string>

namespace xtasc::launch {

namespace {

constexpr std::int64_t kKibibyte = 1024;

}  // namespace

std::int64_t peak_resident_bytes() {
  // getrusage() would also tell what the parent had when it started this program.
  constexpr std::string_view kPeak = "VmHWM:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kPeak)) {
      return std::stoll(line.substr(kPeak.size())) * kKibibyte;
    }
  }
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * kKibibyte;
}

#ifdef XTASC_WITH_CUDA
std::optional<DeviceMemory> device_memory(at::Device device) {
  if (!device.is_cuda()) {
    return std::nullopt;
  }
  using c10::CachingAllocator::StatType;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  const auto all = static_cast<std::size_t>(StatType::AGGREGATE);
  return DeviceMemory{.peak_allocated_bytes = stats.allocated_bytes[all].peak,
                      .peak_reserved_bytes = stats.reserved_bytes[all].peak};
}
#else
std::optional<DeviceMemory> device_memory(at::Device) {
  return std::nullopt;
}
#endif

}  // namespace xtasc::launch
