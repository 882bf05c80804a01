#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "config/run_config.hpp"

namespace xtasc::launch {

/// The keys of a config that launch/bench/peer/bench_step.py follows, by name, with their values: what it is told.
[[nodiscard]] nlohmann::json peer_options(const config::RunConfig& config);

/// "section.key = value" of every key that decides a run's numbers, is not at its default, and is none that the peer
/// follows: with one of them it would do other work. Empty: both do the same.
[[nodiscard]] std::vector<std::string> not_followed_by_peer(const config::RunConfig& config);

}  // namespace xtasc::launch
