#pragma once

#include <functional>
#include <vector>

#include "config/fields.hpp"
#include "config/run_config.hpp"

namespace xtasc::config {

/// Every key of a run's config, in the order in which it is printed; they read and print the values of `config`.
[[nodiscard]] std::vector<Field> run_fields(RunConfig& config);

/// Calls back with each key that is for some weighting methods only and differs from its default.
void for_changed_keys_of_methods(RunConfig config, const std::function<void(const Field&)>& call);

}  // namespace xtasc::config
