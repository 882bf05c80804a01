#pragma once

#include <cstdint>

#include "data/dataset.hpp"

// A task, two systems, a network and a weighting method that live outside of the source tree, each made by the recipe
// of docs/extending.md: what shows that nothing in the tree is drawn for two tasks, for an encoder that all share, or
// for the methods that it has.
namespace xtasc::test {

/// Adds to the tables, once however often it is called:
///
/// - task `flow`: a made-up regression of 2 channels, of the kind of depth
/// - system `toy`: seg, depth and flow by a network without an encoder cut, whose tasks share a trunk and, behind their
///   own branches, a mixing convolution; each task is predicted from each other one (xtc)
/// - system `xtasc_of_three`: the paper's network with these three tasks
/// - method `toy_halves`: task t counts 1 / 2^t
void add_toys();

/// As random_batch, with a flow.
[[nodiscard]] data::Batch toy_batch(std::uint64_t seed, std::int64_t num_samples, std::int64_t num_classes,
                                    std::int64_t height, std::int64_t width);

}  // namespace xtasc::test
