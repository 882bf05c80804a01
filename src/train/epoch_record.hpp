#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "config/run_config.hpp"
#include "run/metrics_log.hpp"
#include "train/checkpoint.hpp"
#include "train/step.hpp"

// What an epoch has to say, for metrics.jsonl and for the eye.
namespace xtasc::train {

/// Of the epoch under way, by name; those that the system trains.
[[nodiscard]] std::map<std::string, double> mean_train_losses(const Progress& progress, config::System system);
/// The mean weights of the epoch; empty for a single task.
[[nodiscard]] std::map<std::string, double> mean_task_weights(const Progress& progress, config::System system);

/// "loss 1.2345 seg 0.9876 depth 0.2469", of one step.
[[nodiscard]] std::string loss_text(const std::array<double, kNumLosses>& losses, config::System system);
/// The line that the log has for an epoch. \param epochs  of the whole run
[[nodiscard]] std::string epoch_text(const run::EpochRecord& record, std::int64_t epochs);

}  // namespace xtasc::train
