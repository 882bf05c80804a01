#include "report/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/error.hpp"

namespace xtasc::report {

namespace {

/// The continued fraction of DLMF 8.17.22; converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  constexpr int kMaxTerms = 10000;  // about sqrt(max(a, b)) are needed
  const auto not_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1.0;
  double d = 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0));
  double fraction = d;
  for (int m = 1; m <= kMaxTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double factor = 1.0;
    for (const double coefficient : {even, odd}) {
      d = 1.0 / not_zero(1.0 + coefficient * d);
      c = not_zero(1.0 + coefficient / c);
      factor = c * d;
      fraction *= factor;
    }
    if (std::abs(factor - 1.0) < std::numeric_limits<double>::epsilon()) {
      return fraction;
    }
  }
  fail("the incomplete beta function did not converge for a = {}, b = {}, x = {}", a, b, x);
}

}  // namespace

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

double incomplete_beta(double a, double b, double x) {
  check(a > 0.0 && b > 0.0 && x >= 0.0 && x <= 1.0, "incomplete_beta needs a, b > 0 and x in 0..1, found {}, {}, {}", a,
        b, x);
  if (x == 0.0 || x == 1.0) {
    return x;
  }
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  return x < (a + 1.0) / (a + b + 2.0) ? front * beta_fraction(a, b, x) / a
                                       : 1.0 - front * beta_fraction(b, a, 1.0 - x) / b;
}

double student_t_two_sided(double t, double degrees) {
  if (std::isinf(t)) {
    return 0.0;
  }
  const double square = t * t;
  // Where t is small, 1 - x keeps the digits that x = n / (n + t^2) would lose.
  return square < degrees ? 1.0 - incomplete_beta(0.5, degrees / 2.0, square / (degrees + square))
                          : incomplete_beta(degrees / 2.0, 0.5, degrees / (degrees + square));
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
