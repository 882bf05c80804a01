#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "gpu/presence.hpp"

/// What programs ask of CUDA besides computing. A build without CUDA has the same functions: presence() tells of no
/// GPU, versions() says that there is no CUDA, all others throw Error. Not run on a GPU yet.
namespace xtasc::gpu {

/// CUDA as this was compiled with, and as it is loaded: 13000 for 13.0.
struct Versions {
  int compiled = 0, loaded = 0;
};
/// nullopt: this build has no CUDA.
[[nodiscard]] std::optional<Versions> versions();

/// What CUDA says of this process's GPUs; nothing of what the machine itself says (look_for_signs).
[[nodiscard]] Presence presence();

/// "0000:41:00.0": what tells the GPUs of a host apart, whatever CUDA_VISIBLE_DEVICES calls them.
[[nodiscard]] std::string bus_id(int index);
/// "NVIDIA H200".
[[nodiscard]] std::string name(int index);

/// The GPU that this thread's work goes to.
[[nodiscard]] int current();
void make_current(int index);

/// Returns when the current GPU has done all that was asked of it.
void synchronize();

/// Bytes that torch's caching allocator holds of a GPU, and the most so far.
struct Memory {
  std::int64_t peak_allocated = 0;               ///< by tensors
  std::int64_t reserved = 0, peak_reserved = 0;  ///< of the device, tensors or not
};
[[nodiscard]] Memory memory(int index);
/// Gives back what the allocator holds for no tensor.
void release_cached_memory();

/// A named range of the host's time, as NVIDIA's tools show it (NVTX); ranges lie within each other.
void push_range(const std::string& name);
void pop_range();

/// As long as it lives, whatever makes the host wait for a GPU throws.
class WaitingThrows {
 public:
  WaitingThrows();
  ~WaitingThrows();
  WaitingThrows(const WaitingThrows&) = delete;
  WaitingThrows& operator=(const WaitingThrows&) = delete;
};

}  // namespace xtasc::gpu
