#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "config/run_config.hpp"
#include "launch/bench.hpp"
#include "launch/bench_contestant.hpp"
#include "train/phase.hpp"

namespace xtasc::launch {

/// Where the time of a step goes, and at what rate arithmetic is done there beside the machine's own peak.
///
/// Arithmetic is that of the plain form of the net's convolutions (sweep/work.hpp): what a rewrite saves counts as
/// done, so a rate may exceed the peak.
class PhaseTable {
 public:
  /// Takes `options.rounds` steps. Collective.
  PhaseTable(Contestant& contestant, const StepBench& options, const dist::MpiSession& session,
             const config::RunConfig& config, at::Device device);

  [[nodiscard]] std::string text() const;
  [[nodiscard]] nlohmann::json json() const;

 private:
  static constexpr std::size_t kNumPhases = train::kPhaseNames.size();

  std::array<Timing, kNumPhases> timings_;
  std::array<double, kNumPhases> flop_{};  ///< of all ranks in a step
  double peak_ = 0.0;                      ///< FLOP/s of all ranks at work at once
};

}  // namespace xtasc::launch
