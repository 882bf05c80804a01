#pragma once

#include <optional>

#include "run/metrics_log.hpp"

namespace xtasc::report {

/// The four metrics of the paper's tables. Absent where a system has no such task. Any unit, if the same for both nets.
struct Scores {
  std::optional<double> miou;     ///< higher is better
  std::optional<double> pix_acc;  ///< higher is better
  std::optional<double> abs_err;  ///< lower is better
  std::optional<double> rel_err;  ///< lower is better
};

/// Picks the four metrics out of all that were measured.
[[nodiscard]] Scores scores(const run::MetricValues& values);

/// The mean over the four metrics of the relative change against the baseline, in percent; its sign is turned where
/// lower is better, so positive means better.
///
///     Delta_m = 100 / 4 * sum_i (-1)^(l_i) * (M_m,i - M_b,i) / M_b,i
///
/// Absent when a metric of either net is absent or not finite, or a metric of the baseline is 0.
///
/// Source: Nakano et al. 2021, eq. 17.
[[nodiscard]] std::optional<double> delta_m(const Scores& model, const Scores& baseline);

}  // namespace xtasc::report
