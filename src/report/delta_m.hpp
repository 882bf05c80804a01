#pragma once

#include <optional>
#include <string_view>

#include "run/metrics_log.hpp"
#include "task/task.hpp"

namespace xtasc::report {

/// Which way it counts: as in the 2021 paper, higher is better; or as the field's tables print it, lower is better.
enum class DeltaSign { paper, field };
/// What it is a mean over: all metrics alike, or tasks, each with the mean of its metrics.
enum class DeltaMean { metrics, tasks };

/// A way to print Delta_m; that of the 2021 paper unless set.
struct DeltaForm {
  DeltaSign sign = DeltaSign::paper;
  DeltaMean mean_over = DeltaMean::metrics;

  [[nodiscard]] bool lower_is_better() const { return sign == DeltaSign::field; }
};

/// The form of two words of options: "paper" or "field", "metrics" or "tasks".
/// \throws Error (exit code 2) for any other word
[[nodiscard]] DeltaForm delta_form_of(std::string_view sign, std::string_view mean_over);

// What the words mean, for the options' help.
inline constexpr const char* kDeltaSignHelp =
    "The sign of Delta_m: higher is better, as in the 2021 paper (paper), or lower is better, as in the field's tables "
    "(field)";
inline constexpr const char* kDeltaMeanHelp =
    "Delta_m is the mean over all metrics (metrics), or over the tasks, each the mean of its own metrics (tasks)";

/// The mean over the tasks' metrics of the relative change against the baseline, in percent; its sign is turned where
/// lower is better, so positive means better.
///
///     Delta_m = 100 / n * sum_i (-1)^(l_i) * (M_m,i - M_b,i) / M_b,i
///
/// With the field's sign the negative of that; with the mean over tasks sum_i / n is the mean over the tasks of each
/// one's own such mean.
///
/// Absent when there is no metric, one of either net is absent or not finite, or one of the baseline is 0.
///
/// \param model, baseline  in any unit, if the same for both
/// \param tasks  those whose metrics count: all of the model's
/// Source: Nakano et al. 2021, eq. 17; the field's sign: Liu et al. 2021 (CAGrad), appendix B.2.
[[nodiscard]] std::optional<double> delta_m(const run::MetricValues& model, const run::MetricValues& baseline,
                                            const task::Tasks& tasks, const DeltaForm& form = {});

}  // namespace xtasc::report
