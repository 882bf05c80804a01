#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <array>
#include <chrono>
#include <deque>
#include <optional>
#include <vector>

#include "train/phase.hpp"

namespace xtasc::train {

/// Seconds by train::Phase.
using PhaseSeconds = std::array<double, kPhaseNames.size()>;

/// Where the time of training steps goes. On the CPU a clock is read where a part begins; on a GPU an event is recorded
/// there, and read once the GPU has passed it: the host never waits. Not run on a GPU yet.
class PhaseClock {
 public:
  explicit PhaseClock(at::Device device);

  /// A part begins, and the one before ends.
  void enter(Phase phase) { mark(phase); }
  /// The part under way ends; what follows belongs to none.
  void leave() { mark(std::nullopt); }

  /// What is known to have passed since the last take().
  [[nodiscard]] PhaseSeconds take();

 private:
  using Clock = std::chrono::steady_clock;
  struct Mark {
    std::optional<Phase> phase;  ///< that begins
    c10::Event event;
  };
  void mark(std::optional<Phase> phase);
  void mark_on_device(std::optional<Phase> phase);
  void read_passed();

  at::Device device_;
  std::optional<Phase> phase_;  ///< on the CPU, under way
  Clock::time_point begin_;
  PhaseSeconds seconds_{};
  std::deque<Mark> marks_;          ///< that the device may not have passed, and the last that it has
  std::vector<c10::Event> passed_;  ///< to be used again
};

}  // namespace xtasc::train
