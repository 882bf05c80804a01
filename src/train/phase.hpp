#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace xtasc::train {

/// The parts of a training step, in their order. Batch norm's sums over ranks count to the part that they lie in.
enum class Phase : std::uint8_t {
  data,           ///< drawing and augmenting the samples
  encoder,        ///< forward
  decoders,       ///< forward
  transfer_nets,  ///< forward
  losses,         ///< with their sums over ranks, and the task weights
  backward,
  all_reduce,  ///< what of the gradients' sum over ranks is left after backward
  optimizer,
};

inline constexpr std::array<std::string_view, 8> kPhaseNames = {
    "data",   "forward: encoder", "forward: decoders", "forward: transfer nets",
    "losses", "backward",         "all-reduce",        "optimizer"};
static_assert(kPhaseNames.size() == static_cast<std::size_t>(Phase::optimizer) + 1);
/// The same in files.
inline constexpr std::array<std::string_view, kPhaseNames.size()> kPhaseKeys = {
    "data", "encoder", "decoders", "transfer_nets", "losses", "backward", "all_reduce", "optimizer"};

/// Told which part of a step begins. What the step asked of a device before may still be under way.
using PhaseObserver = std::function<void(Phase)>;

}  // namespace xtasc::train
