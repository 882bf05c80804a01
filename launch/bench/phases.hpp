#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "config/run_config.hpp"
#include "launch/bench/bench.hpp"
#include "launch/bench/contestant.hpp"
#include "launch/bench/executed_work.hpp"
#include "train/phase.hpp"

namespace xtasc::launch {

/// Where the time of a step goes, and at what rate arithmetic is done there beside the machine's own peak.
///
/// Arithmetic is counted twice: that of the plain form of the net's convolutions (net/work.hpp), where what a rewrite
/// saves counts as done, so that a rate may exceed the peak; and what is really executed (executed_work.hpp), which
/// tells how far the hardware's limit is.
class PhaseTable {
 public:
  /// Takes `options.rounds` steps. Collective.
  PhaseTable(Contestant& contestant, const StepBench& options, const dist::MpiSession& session,
             const config::RunConfig& config, at::Device device);

  [[nodiscard]] std::string text() const;
  [[nodiscard]] nlohmann::json json() const;

 private:
  static constexpr std::size_t kNumPhases = train::kPhaseNames.size();

  using PerPhase = std::array<double, kNumPhases>;

  struct Row {
    double seconds = 0.0, plain = 0.0, executed = 0.0;
  };
  [[nodiscard]] Row row(std::size_t phase) const;
  [[nodiscard]] Row total() const;
  static void add_flop(PerPhase& flop, double times, const ExecutedWork& work);

  std::array<Timing, kNumPhases> timings_;
  PerPhase plain_{}, executed_{};  ///< floating-point operations of all ranks in a step
  std::array<int, 3> layers_{};    ///< of rank 0: by Winograd, contracted before an upsample, plain
  double peak_ = 0.0;              ///< FLOP/s of all ranks at work at once
};

}  // namespace xtasc::launch
