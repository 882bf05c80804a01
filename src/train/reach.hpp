#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/parameters.hpp"

namespace xtasc::train {

/// A set of tasks: bit t is task t.
using TaskSet = std::uint64_t;

/// Parameters declared one after another that the same tasks' losses reach.
struct ReachedRun {
  std::size_t first, last;  ///< parameters()[first] to, not with, parameters()[last]
  TaskSet tasks;
};

/// The two sides of a network's cut: what came in, and the leaves that went on; as many of each, none without a cut.
struct Cut {
  std::vector<at::Tensor> outputs, leaves;
};

/// Which task's loss reaches which parameter, by a walk over the graph of a forward pass. It is the same on every rank,
/// also on one without an image. \param objectives  one a task, with their graphs
[[nodiscard]] std::vector<ReachedRun> reach_of(const std::vector<at::Tensor>& objectives, const Cut& cut,
                                               const model::ParameterSet& parameters);

}  // namespace xtasc::train
