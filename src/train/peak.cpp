#include "train/peak.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "gpu/gpu.hpp"

namespace xtasc::train {

namespace {

struct KnownGpu {
  std::string_view name;                      ///< a part of the driver's; the first that fits counts
  double fp32 = 0.0, tf32 = 0.0, bf16 = 0.0;  ///< TFLOP/s
};

/// Sources: NVIDIA's data sheets of the A100, H100 and H200 Tensor Core GPUs, the GH200, HGX B200 (an eighth of the
/// board) and the L40S, whose figures with sparsity are halved.
constexpr std::array<KnownGpu, 9> kKnownGpus = {{
    {"A100", 19.5, 156.0, 312.0},
    {"H100 PCIe", 51.0, 378.0, 756.0},
    {"H100 NVL", 60.0, 417.5, 835.0},
    {"H100", 67.0, 494.5, 989.0},
    {"GH200", 67.0, 494.5, 989.0},
    {"H200 NVL", 60.0, 417.5, 835.0},
    {"H200", 67.0, 494.5, 989.0},
    {"B200", 75.0, 1125.0, 2250.0},
    {"L40S", 91.6, 183.0, 362.0},
}};

/// Operations a second of a product of two square matrices, the best of several sizes.
double measured_peak(at::ScalarType type) {
  constexpr std::int64_t kLargest = 1024;
  // All calls together, not the last one: a call of a small product is a long one, too, while others have the cores.
  constexpr double kLongEnough = 0.1;  // seconds
  constexpr int kCalls = 3;
  const c10::NoGradGuard no_grad;
  double best = 0.0;
  double all_seconds = 0.0;
  for (std::int64_t size = 128; size <= kLargest && all_seconds < kLongEnough; size *= 2) {
    // Different numbers, which some processors are slower with, and no draw: those belong to the training.
    const at::Tensor a = at::linspace(-1.0, 1.0, size * size).view({size, size}).to(type);
    for (int call = 0; call < kCalls; ++call) {
      const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
      static_cast<void>(at::mm(a, a));
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      all_seconds += seconds;
      best = std::max(best, 2.0 * static_cast<double>(size * size * size) / seconds);
    }
  }
  return best;
}

}  // namespace

std::optional<double> named_peak(std::string_view name, config::Precision precision) {
  const auto* const gpu = std::ranges::find_if(
      kKnownGpus, [name](const KnownGpu& known) { return name.find(known.name) != std::string_view::npos; });
  if (gpu == kKnownGpus.end()) {
    return std::nullopt;
  }
  constexpr double kTera = 1e12;
  switch (precision) {
    case config::Precision::fp32:
      return kTera * gpu->fp32;
    case config::Precision::tf32:
      return kTera * gpu->tf32;
    case config::Precision::bf16:
      return kTera * gpu->bf16;
    case config::Precision::fp64:
      break;  // for the CPU alone
  }
  return std::nullopt;
}

std::optional<double> peak_of_device(const config::RunSection& run, at::Device device, at::ScalarType type) {
  constexpr double kTera = 1e12;
  if (run.peak_tflops > 0.0) {
    return kTera * run.peak_tflops;
  }
  if (device.is_cuda()) {
    return named_peak(gpu::name(device.index()), run.precision);
  }
  // A processor without bf16 computes it in float32, which torch's product of bf16 does far below what it could.
  const double peak = measured_peak(type);
  return type == at::kBFloat16 ? std::max(peak, measured_peak(at::kFloat)) : peak;
}

}  // namespace xtasc::train
