#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sweep/state.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// The runs whose id or row a pattern fits: with * ? [] as a shell has them, else as a part of the text. No pattern:
/// all. They point into `sweep`. \throws Error (exit code 2) when a pattern fits none
[[nodiscard]] std::vector<const PlannedRun*> select(const Sweep& sweep, const std::vector<std::string>& only);

/// Lets failed and incomplete runs start again, from their last checkpoint: they count as interrupted from now on.
/// \param queue  what a cluster says of them \returns how many
[[nodiscard]] std::int64_t clear_failures(const Sweep& sweep, const std::vector<std::string>& only, const Queue& queue);

}  // namespace xtasc::sweep
