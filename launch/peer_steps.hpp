#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "launch/bench.hpp"
#include "launch/bench_contestant.hpp"
#include "launch/peer_process.hpp"
#include "launch/scratch.hpp"

namespace xtasc::launch {

/// Training steps of plain PyTorch from a contestant's weights and on its samples, with one timing for each form of it.
class PeerSteps {
 public:
  /// \param ours  before its first step
  PeerSteps(const StepBench& options, const config::RunConfig& config, const Contestant& ours);

  /// One step of each form. \param own_seconds  of our step in this round
  void take_turn(double own_seconds);

  /// What was measured, printed too. \param first_losses  (train::kNumLosses) of our first step
  [[nodiscard]] nlohmann::json report(const at::Tensor& first_losses) const;

 private:
  struct Form {
    std::string name;
    Timing step = {}, ratio = {};
    std::int64_t peak_bytes = 0;            ///< of the peer's process, with the forms before this one
    std::vector<double> first_losses = {};  ///< the four plain ones
  };

  Scratch scratch_;
  PeerProcess process_;
  std::vector<Form> forms_;
};

}  // namespace xtasc::launch
