#include "report/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "core/error.hpp"

namespace xtasc::report {

Moments moments(std::span<const double> values) {
  check(!values.empty(), "the mean of no values is not defined");
  const auto count = static_cast<double>(values.size());
  double sum = 0.0;
  for (const double value : values) {
    sum += value;
  }
  Moments result{.mean = sum / count, .deviation = {}, .count = static_cast<std::int64_t>(values.size())};
  if (values.size() >= 2) {
    double squares = 0.0;
    for (const double value : values) {
      squares += (value - result.mean) * (value - result.mean);
    }
    result.deviation = std::sqrt(squares / (count - 1.0));
  }
  return result;
}

double student_t_two_sided(double t, double degrees) {
  return 2.0 * cdf(complement(boost::math::students_t(degrees), std::abs(t)));
}

std::optional<TTest> paired_t_test(std::span<const double> a, std::span<const double> b) {
  check(a.size() == b.size(), "a paired t-test needs pairs, found {} and {} values", a.size(), b.size());
  if (a.size() < 2) {
    return std::nullopt;
  }
  std::vector<double> differences;
  for (std::size_t i = 0; i < a.size(); ++i) {
    differences.push_back(a[i] - b[i]);
  }
  const Moments of = moments(differences);
  // What rounding alone leaves of equal differences is no spread.
  const double largest = std::abs(*std::ranges::max_element(differences, {}, [](double d) { return std::abs(d); }));
  const double rounding =
      8.0 * std::numeric_limits<double>::epsilon() * std::max({largest, std::abs(a[0]), std::abs(b[0])});
  if (!(*of.deviation > rounding)) {
    return std::nullopt;
  }
  TTest test{.mean_difference = of.mean, .t = 0.0, .degrees = of.count - 1, .p = 1.0};
  test.t = of.mean / (*of.deviation / std::sqrt(static_cast<double>(of.count)));
  test.p = student_t_two_sided(test.t, static_cast<double>(test.degrees));
  return test;
}

std::string p_text(double p) {
  return p < 0.0001 ? "< 0.0001" : p < 0.1 ? fmt::format("{:.2g}", p) : fmt::format("{:.2f}", p);
}

}  // namespace xtasc::report
