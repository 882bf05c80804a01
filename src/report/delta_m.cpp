#include "report/delta_m.hpp"

#include <array>
#include <cmath>
#include <string>

namespace xtasc::report {

Scores scores(const run::MetricValues& values) {
  const auto find = [&values](const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
  return {.miou = find("miou"), .pix_acc = find("pix_acc"), .abs_err = find("abs_err"), .rel_err = find("rel_err")};
}

std::optional<double> delta_m(const Scores& model, const Scores& baseline) {
  struct Metric {
    std::optional<double> Scores::*value;
    double sign;
  };
  constexpr std::array<Metric, 4> kMetrics = {
      {{&Scores::miou, 1.0}, {&Scores::pix_acc, 1.0}, {&Scores::abs_err, -1.0}, {&Scores::rel_err, -1.0}}};
  double sum = 0.0;
  for (const Metric& metric : kMetrics) {
    const std::optional<double>& of_model = model.*metric.value;
    const std::optional<double>& of_baseline = baseline.*metric.value;
    if (!of_model || !of_baseline || *of_baseline == 0.0) {
      return std::nullopt;
    }
    sum += metric.sign * (*of_model - *of_baseline) / *of_baseline;
  }
  const double percent = 100.0 * sum / static_cast<double>(kMetrics.size());
  return std::isfinite(percent) ? std::optional(percent) : std::nullopt;
}

}  // namespace xtasc::report
