#pragma once

#include <string>

#include "config/run_config.hpp"
#include "run/run_folder.hpp"

namespace xtasc::run {

/// A run's folder name: run.name and eight digits of a hash of what the run is known by (config::identity_text), files
/// by their content: the config's digests must have been written into it (config::pin_digest). The same config and data
/// find the same folder again, wherever the files lie; a changed one is a new run.
[[nodiscard]] std::string run_id(const config::RunConfig& config);

/// The name that versions gave which knew a run's files by their paths.
[[nodiscard]] std::string first_run_id(const config::RunConfig& config);

/// Reads the config.toml of a run folder and compares it with the hash in the folder's name, where that ends in one.
/// \throws Error when it cannot be read, or is not the config that the folder was made for
[[nodiscard]] config::RunConfig read_config_of(const RunFolder& run);

}  // namespace xtasc::run
