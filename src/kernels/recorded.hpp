#pragma once

#include <ATen/TracerMode.h>

namespace xtasc::kernels {

/// Whether PyTorch records a graph of what this thread computes (torch::jit::tracer): it sees ATen's operators only, so
/// loops and forms of our own step aside.
[[nodiscard]] inline bool is_recorded() {
  return at::tracer::impl::is_dispatch_enabled();
}

}  // namespace xtasc::kernels
