#pragma once

#include <cstdint>
#include <memory>

#include "data/dataset.hpp"
#include "metric/task_metrics.hpp"

// A task with metrics of its own, four systems, a network and a weighting method that live outside of the source tree,
// each made by the recipe of docs/extending.md: what shows that nothing in the tree is drawn for two tasks, for an
// encoder that all share, or for the methods that it has.
namespace xtasc::test {

/// add_toy_rows(), and what makes the networks, the method and the flow's metrics. Once however often it is called.
void add_toys();

/// What measures a flow (flow_metrics.cpp).
[[nodiscard]] std::unique_ptr<metric::TaskMetrics> make_flow_metrics(const metric::TaskMetricsOptions& options);

/// As random_batch, with a flow.
[[nodiscard]] data::Batch toy_batch(std::uint64_t seed, std::int64_t num_samples, std::int64_t num_classes,
                                    std::int64_t height, std::int64_t width);

}  // namespace xtasc::test
