#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace xtasc::report {

/// Mean and spread of a few measurements, as a rule one a seed.
struct Moments {
  double mean = 0.0;
  std::optional<double> deviation;  ///< sample standard deviation (divided by count - 1); absent for one value
  std::int64_t count = 0;
};

/// \throws Error when `values` is empty.
[[nodiscard]] Moments moments(std::span<const double> values);

/// P(|T| >= |t|) for Student's t with `degrees` > 0 of freedom, by Boost.Math.
[[nodiscard]] double student_t_two_sided(double t, double degrees);

/// Of a paired t-test: does the mean of the differences differ from 0?
struct TTest {
  double mean_difference = 0.0;  ///< of a_i - b_i
  double t = 0.0;
  std::int64_t degrees = 0;  ///< pairs - 1
  double p = 1.0;            ///< two-sided
};

/// \param a, b  the same number of values; a_i and b_i belong together (one seed).
/// \returns  absent with fewer than two pairs, or where all differences are the same: there is no spread to judge by.
[[nodiscard]] std::optional<TTest> paired_t_test(std::span<const double> a, std::span<const double> b);

/// "0.012", "0.0003", "< 0.0001": two digits that count.
[[nodiscard]] std::string p_text(double p);

}  // namespace xtasc::report
