#pragma once

#include <string>
#include <vector>

#include "config/run_config.hpp"

namespace xtasc::run {

/// Whether a pack has the truths that the net's tasks are trained with. \param held  pack::label_keys of it
/// \throws Error  with exit code 2: the config asks for a task that the pack cannot give
void check_has_tasks(const std::vector<std::string>& held, const config::ModelSection& model, const std::string& pack);

}  // namespace xtasc::run
