#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace xtasc::sweep {

/// The part of this machine that one of several runs at a time gets.
struct Slot {
  std::vector<int> cores;
  std::vector<std::string> gpus;  ///< as CUDA_VISIBLE_DEVICES names them; empty: none here
};

/// Divides cores and GPUs among `jobs` runs, as evenly as they go; with more runs than cores (GPUs), they share.
[[nodiscard]] std::vector<Slot> divide(const std::vector<int>& cores, const std::vector<std::string>& gpus,
                                       std::int64_t jobs);

/// CUDA_VISIBLE_DEVICES where it is set, else every GPU of this machine.
[[nodiscard]] std::vector<std::string> visible_gpus();

/// mpirun and its options for a run of `ranks` ranks in a slot. Alone on the machine and with just one core for each,
/// ranks are bound; else the process that starts mpirun is to be bound to the slot's cores.
[[nodiscard]] std::vector<std::string> launcher(const Slot& slot, std::int64_t ranks, bool is_alone);

/// Environment of a run in a slot, over this process's own.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> environment(const Slot& slot, std::int64_t ranks);

}  // namespace xtasc::sweep
