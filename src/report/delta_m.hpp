#pragma once

#include <optional>

#include "run/metrics_log.hpp"
#include "task/task.hpp"

namespace xtasc::report {

/// The mean over the tasks' metrics of the relative change against the baseline, in percent; its sign is turned where
/// lower is better, so positive means better.
///
///     Delta_m = 100 / n * sum_i (-1)^(l_i) * (M_m,i - M_b,i) / M_b,i
///
/// Absent when there is no metric, one of either net is absent or not finite, or one of the baseline is 0.
///
/// \param model, baseline  in any unit, if the same for both
/// \param tasks  those whose metrics count: all of the model's
/// Source: Nakano et al. 2021, eq. 17.
[[nodiscard]] std::optional<double> delta_m(const run::MetricValues& model, const run::MetricValues& baseline,
                                            const task::Tasks& tasks);

}  // namespace xtasc::report
