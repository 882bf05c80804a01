#pragma once

#include <string>

#include "config/run_config.hpp"

namespace xtasc::run {

/// What weights that a config names are known by, 32 hexadecimal digits: of a file the XXH3-128 of its bytes; of a
/// run's folder that of what the run is known by (config::identity_text), which its weights follow from, so that it is
/// known before the run is trained.
/// \throws Error when there is no such file, or nothing of a run in the folder
[[nodiscard]] std::string digest_of_weights(const std::string& path);
/// Of a run that has this config, with the digests of its files in it.
[[nodiscard]] std::string digest_of_run(const config::RunConfig& config);

/// Of all that was chosen for a run but its seed: the same for the runs of one row.
[[nodiscard]] std::string recipe_digest(const config::RunConfig& config);

}  // namespace xtasc::run
