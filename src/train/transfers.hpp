#pragma once

#include <cstdint>
#include <vector>

#include "config/run_config.hpp"
#include "model/network.hpp"

// model.transfer = "sample": which of a network's transfers a step computes.
namespace xtasc::train {

/// Whether steps draw some of the transfers; else they compute all.
[[nodiscard]] bool draws_transfers(const config::RunConfig& config);

/// Which of `transfers` a step computes, model.transfers_per_task from each task: a function of (seed, step, task).
/// Empty, as Mode::transfers has it: all. \param step  optimizer steps completed
[[nodiscard]] std::vector<bool> transfers_of_step(const config::RunConfig& config,
                                                  const std::vector<model::Transfer>& transfers, std::int64_t step);

}  // namespace xtasc::train
