#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "dist/mpi_session.hpp"
#include "net/networks.hpp"
#include "run/metrics_log.hpp"
#include "train/checkpoint.hpp"
#include "train/setup.hpp"

namespace xtasc::train {

/// What an epoch asked of the machine, beside what the machine can do.
class MachineUse {
 public:
  /// Finds out the devices' peaks (see peak_of_device()), while all ranks are at work. Collective.
  MachineUse(const dist::MpiSession& session, const config::RunConfig& config, const net::Sizes& sizes,
             const Learner& learner, at::Device device);

  /// run::EpochRecord::machine of the epoch whose training just ended. Collective.
  [[nodiscard]] std::map<std::string, std::map<std::string, double>> of_epoch(const Progress& progress) const;

 private:
  const dist::MpiSession& session_;
  at::Device device_;
  double flop_of_image_;        ///< in a step: forward, backward and what the weighting method adds
  std::optional<double> peak_;  ///< of all ranks, operations a second
};

/// "31 % of peak (41.2 of 133 GFLOP/s), 612 MiB; data 2 %, forward 30 %, ...; waiting for peers 0.4 s": the log's line.
[[nodiscard]] std::string machine_text(const run::EpochRecord& record);

}  // namespace xtasc::train
