#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// The part of this machine that one of several runs at a time gets.
struct Slot {
  std::vector<int> cores;
  std::vector<std::string> gpus;  ///< as CUDA_VISIBLE_DEVICES names them; empty: none here
};

/// Divides cores and GPUs among `jobs` runs, as evenly as they go; with more runs than cores (GPUs), they share.
[[nodiscard]] std::vector<Slot> divide(const std::vector<int>& cores, const std::vector<std::string>& gpus,
                                       std::int64_t jobs);

/// CUDA_VISIBLE_DEVICES where it is set, up to the first entry that CUDA would not take; else every GPU of this
/// machine. \param devices  where the driver's nvidia0, nvidia1, ... are
[[nodiscard]] std::vector<std::string> visible_gpus(const std::filesystem::path& devices = "/dev");

/// The slot as a run uses it: one on the CPU has no GPU.
[[nodiscard]] Slot slot_for(const config::RunConfig& config, Slot slot);

/// Ranks of a run in its slot (slot_for). With ranks = "auto" one for each GPU, where there is none one for each core;
/// at most max_ranks, and no more than a batch has images.
[[nodiscard]] std::int64_t ranks_in(const Slot& slot, const RanksWish& wish, const config::RunConfig& config);

/// mpirun and its options for a run of `ranks` ranks in a slot. Alone on the machine, without GPUs and with just one
/// core for each, ranks are bound; else the process that starts mpirun is to be bound to the slot's cores. With a GPU a
/// rank has threads of its own beside the main one, which would all share that core.
[[nodiscard]] std::vector<std::string> launcher(const Slot& slot, std::int64_t ranks, bool is_alone);

/// Environment of a run in a slot, over this process's own.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> environment(const Slot& slot, std::int64_t ranks);

}  // namespace xtasc::sweep
