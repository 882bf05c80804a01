#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// "xtasc_resnet18-3c743402 (XTasC-Net, seed 1)"
[[nodiscard]] std::string title_of(const PlannedRun& run);

/// What became of the runs that a driver was asked for.
struct Outcome {
  struct Entry {
    const PlannedRun* run;
    std::string why;
  };
  std::size_t num_done = 0;
  std::vector<Entry> failed_before = {}, failed = {};
  std::vector<Entry> halted = {};        ///< by [stop]
  std::vector<Entry> left_alone = {};    ///< a cluster has them
  std::vector<Entry> left_waiting = {};  ///< for runs that nobody is going to do

  /// ", 2 failed"; empty where none has.
  [[nodiscard]] std::string failed_text() const;
  /// Says in the log what is not done and why, and how many are.
  void tell(const Sweep& sweep, std::size_t num_selected) const;
};

}  // namespace xtasc::sweep
