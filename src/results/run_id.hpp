#pragma once

#include <string>

#include "config/run_config.hpp"

namespace xtasc::results {

/// A run's folder name: run.name and eight digits of a hash of every config key that decides its numbers. The same
/// config finds the same folder again; a changed one is a new run.
[[nodiscard]] std::string run_id(const config::RunConfig& config);

}  // namespace xtasc::results
