// A library for LD_PRELOAD that answers in place of CUDA's runtime:
//   XTASC_FAKE_CUDA_CODE     what cudaGetDeviceCount returns: 35 for a driver that is too old, 100 for no device
//   XTASC_FAKE_CUDA_DRIVER   the CUDA that the driver knows: 12020 for 12.2, 0 for no driver

#include <cuda_runtime_api.h>

#include <cstdlib>

namespace {

int setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? 0 : std::atoi(value);
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return static_cast<cudaError_t>(setting("XTASC_FAKE_CUDA_CODE"));
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = setting("XTASC_FAKE_CUDA_DRIVER");
  return cudaSuccess;
}
}
