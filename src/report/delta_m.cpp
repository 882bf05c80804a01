#include "report/delta_m.hpp"

#include <cmath>
#include <string>

namespace xtasc::report {

std::optional<double> delta_m(const run::MetricValues& model, const run::MetricValues& baseline,
                              const task::Tasks& tasks) {
  double sum = 0.0;
  int num_metrics = 0;
  for (const task::Task& task : tasks) {
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
      sum += sign * (of_model->second - of_baseline->second) / of_baseline->second;
      ++num_metrics;
    }
  }
  const double percent = 100.0 * sum / static_cast<double>(num_metrics);
  return std::isfinite(percent) ? std::optional(percent) : std::nullopt;
}

}  // namespace xtasc::report
