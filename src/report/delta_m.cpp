#include "report/delta_m.hpp"

#include <cmath>
#include <string>

#include "core/error.hpp"

namespace xtasc::report {

DeltaForm delta_form_of(std::string_view sign, std::string_view mean_over) {
  if ((sign != "paper" && sign != "field") || (mean_over != "metrics" && mean_over != "tasks")) {
    fail_usage(
        "Delta_m has the sign \"paper\" or \"field\" and is the mean over \"metrics\" or \"tasks\", found \"{}\" "
        "and \"{}\"",
        sign, mean_over);
  }
  return {.sign = sign == "field" ? DeltaSign::field : DeltaSign::paper,
          .mean_over = mean_over == "tasks" ? DeltaMean::tasks : DeltaMean::metrics};
}

std::optional<double> delta_m(const run::MetricValues& model, const run::MetricValues& baseline,
                              const task::Tasks& tasks, const DeltaForm& form) {
  double sum = 0.0;  // of what the mean is over
  int num_summed = 0;
  for (const task::Task& task : tasks) {
    double sum_of_task = 0.0;
    int num_of_task = 0;
    for (const task::Metric& metric : task.metrics) {
      if (!metric.in_delta_m) {
        continue;
      }
      const auto of_model = model.find(std::string(metric.key));
      const auto of_baseline = baseline.find(std::string(metric.key));
      if (of_model == model.end() || of_baseline == baseline.end() || of_baseline->second == 0.0) {
        return std::nullopt;
      }
      const double sign = metric.higher_is_better ? 1.0 : -1.0;
      const double change = sign * (of_model->second - of_baseline->second) / of_baseline->second;
      if (form.mean_over == DeltaMean::metrics) {
        sum += change;
        ++num_summed;
      } else {
        sum_of_task += change;
        ++num_of_task;
      }
    }
    if (num_of_task > 0) {
      sum += sum_of_task / static_cast<double>(num_of_task);
      ++num_summed;
    }
  }
  const double percent = 100.0 * sum / static_cast<double>(num_summed);
  if (!std::isfinite(percent)) {
    return std::nullopt;
  }
  return form.lower_is_better() ? 0.0 - percent : percent;  // of no change 0, not -0
}

}  // namespace xtasc::report
