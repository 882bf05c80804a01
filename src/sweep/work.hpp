#pragma once

#include <cstdint>

#include "config/run_config.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// Epochs that a run has at most: train.max_steps may end it before train.epochs. What train.patience will spare it
/// nobody knows. \param data  of the whole pack, what data.holdout takes out included
[[nodiscard]] double epochs_of(const config::RunConfig& config, const DataShape& data);

/// Floating-point operations (two a multiply-add) of a whole run: training steps and evaluations. \param data  as above
[[nodiscard]] double flop_of_run(const config::RunConfig& config, const DataShape& data);

}  // namespace xtasc::sweep
