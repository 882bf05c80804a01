#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "core/temp_folder.hpp"
#include "launch/bench/bench.hpp"
#include "launch/bench/contestant.hpp"
#include "launch/bench/peer_process.hpp"

namespace xtasc::launch {

/// Training steps of plain PyTorch from a contestant's weights and on its samples: one process for each form of it, so
/// that its memory is its own, and one timing; on our device, where a captured form is one of them on CUDA (not run on
/// a GPU yet). A process whose turn it is not waits for a line, and takes no processor.
class PeerSteps {
 public:
  /// \param ours  before its first step \param config  one of which not_followed_by_peer() tells nothing
  PeerSteps(const StepBench& options, const config::RunConfig& config, const Contestant& ours, at::Device device);

  /// One step of each form. \param own_seconds  of our step in this round
  void take_turn(double own_seconds);

  /// What was measured, printed too. \param first_losses  StepResult::losses of our first step \param own_peak_bytes
  /// of our memory, resident or on a GPU what tensors held \throws Error  when the peer's first losses are so far from
  /// ours that it did other work
  [[nodiscard]] nlohmann::json report(const at::Tensor& first_losses, std::int64_t own_peak_bytes) const;

 private:
  struct Form {
    std::string name;
    std::unique_ptr<PeerProcess> process;
    Timing step = {}, ratio = {};
    std::int64_t peak_bytes = 0;            ///< of its process
    std::vector<double> first_losses = {};  ///< the plain ones, in our order
    double idle_cpu_seconds = 0.0;          ///< the most that it took while others had their turn
  };

  TempFolder scratch_;
  std::vector<Form> forms_;
};

}  // namespace xtasc::launch
