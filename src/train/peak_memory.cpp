#include "train/peak_memory.hpp"

#include <sys/resource.h>

#include <fstream>
#include <string>

namespace xtasc::train {

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

std::optional<gpu::Memory> device_memory(at::Device device) {
  return device.is_cuda() ? std::optional(gpu::memory(device.index())) : std::nullopt;
}

}  // namespace xtasc::train
