#pragma once

#include <nlohmann/json_fwd.hpp>

#include "config/run_config.hpp"
#include "launch/bench/bench.hpp"

namespace xtasc::launch {

/// What one training step asks of a CUDA device, by cause: counted on the CPU in CUDA's forms (launch_counter.hpp), so
/// that it can be told where no GPU is; once for one rank, and once for a rank of two. \returns what was counted,
/// printed too. One rank.
nlohmann::json bench_launches(const StepBench& options, const dist::MpiSession& session,
                              const config::RunConfig& config);

}  // namespace xtasc::launch
