#pragma once

#include <cstdint>
#include <vector>

#include "core/random.hpp"

namespace xtasc::weighting {

/// The other tasks in the order in which a task's gradient meets theirs, drawn from the stream.
[[nodiscard]] std::vector<std::int64_t> order_of_others(std::int64_t task, std::int64_t num_tasks,
                                                        RandomStream& stream);

}  // namespace xtasc::weighting
