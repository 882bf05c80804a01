#include "report/statistics.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "core/error.hpp"

namespace xtasc::report {

namespace {

TEST(Moments, AreThoseOfASample) {
  const Moments of = moments(std::array{2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0});
  EXPECT_DOUBLE_EQ(of.mean, 5.0);
  EXPECT_DOUBLE_EQ(of.deviation.value(), std::sqrt(32.0 / 7.0));
  EXPECT_EQ(of.count, 8);
  EXPECT_FALSE(moments(std::array{3.0}).deviation) << "one value has no spread";
  EXPECT_EQ(moments(std::array{3.0, 3.0}).deviation, 0.0);
  EXPECT_THROW(static_cast<void>(moments(std::vector<double>{})), Error);
}

TEST(Moments, KeepTheDigitsOfValuesThatLieClose) {
  const Moments of = moments(std::array{1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0});
  EXPECT_DOUBLE_EQ(of.deviation.value(), 1.0);
}

TEST(StudentT, AgreesWithItsClosedForms) {
  for (const double t : {0.0, 1e-6, 0.1, 0.7, 1.0, 2.5, 12.0, 300.0}) {
    EXPECT_NEAR(student_t_two_sided(t, 1.0), 1.0 - 2.0 / std::numbers::pi * std::atan(t), 1e-14);
    EXPECT_NEAR(student_t_two_sided(t, 2.0), 1.0 - t / std::sqrt(2.0 + t * t), 1e-14);
    const double s = std::sqrt(4.0 + t * t);
    EXPECT_NEAR(student_t_two_sided(t, 4.0), 1.0 - t / s * (1.0 + 2.0 / (s * s)), 1e-14);
    EXPECT_EQ(student_t_two_sided(-t, 3.0), student_t_two_sided(t, 3.0));
  }
  EXPECT_EQ(student_t_two_sided(std::numeric_limits<double>::infinity(), 3.0), 0.0);
  // Far out in the tail 1 - x would be 0: 3/2 * 2/t^2 and so on, to first order.
  EXPECT_NEAR(student_t_two_sided(1e6, 2.0) * 1e12, 1.0, 1e-6);
}

TEST(StudentT, AgreesWithThePrintedTable) {
  // Critical values at 5 % and 1 %, two-sided, as every table of Student's t prints them.
  const std::array<std::array<double, 3>, 6> table = {{{1, 12.706, 63.657},
                                                       {2, 4.303, 9.925},
                                                       {4, 2.776, 4.604},
                                                       {9, 2.262, 3.250},
                                                       {30, 2.042, 2.750},
                                                       {120, 1.980, 2.617}}};
  for (const auto& [degrees, at_5_percent, at_1_percent] : table) {
    EXPECT_NEAR(student_t_two_sided(at_5_percent, degrees), 0.05, 5e-5);
    EXPECT_NEAR(student_t_two_sided(at_1_percent, degrees), 0.01, 5e-5);
  }
}

TEST(StudentT, AgreesWithItsDensityIntegrated) {
  // The density of Student's t from 0 to t by Gauss-Legendre quadrature of 400 points (numpy), doubled, from 1.
  EXPECT_NEAR(student_t_two_sided(0.5, 3.0), 0.6514479648481507, 1e-13);
  EXPECT_NEAR(student_t_two_sided(1.3, 7.0), 0.234767835392375, 1e-13);
  EXPECT_NEAR(student_t_two_sided(2.9, 19.0), 0.00917868880048256, 1e-13);
  EXPECT_NEAR(student_t_two_sided(8.0, 5.0), 0.0004929066606278454, 1e-13);
  EXPECT_NEAR(student_t_two_sided(0.01, 50.0), 0.992061081367143, 1e-13);
}

TEST(PairedTTest, RepeatsStudentsOwnExample) {
  // Student 1908, hours of sleep gained by ten patients with two drugs; R's data set `sleep`, whose manual prints
  // t = -4.0621, df = 9, p = 0.002833.
  const std::array first = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
  const std::array second = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
  const auto test = paired_t_test(first, second);
  ASSERT_TRUE(test);
  EXPECT_NEAR(test->mean_difference, -1.58, 1e-12);
  EXPECT_NEAR(test->t, -4.0621, 5e-5);
  EXPECT_EQ(test->degrees, 9);
  EXPECT_NEAR(test->p, 0.002833, 5e-7);
}

TEST(PairedTTest, WithTwoPairsHasTheCauchyTail) {
  const auto test = paired_t_test(std::array{1.0, 2.0}, std::array{0.0, 0.0});
  ASSERT_TRUE(test);
  EXPECT_NEAR(test->t, 3.0, 1e-12);
  EXPECT_NEAR(test->p, 1.0 - 2.0 / std::numbers::pi * std::atan(3.0), 1e-14);
}

TEST(PairedTTest, ClaimsNothingWithoutSpread) {
  EXPECT_FALSE(paired_t_test(std::array{1.0}, std::array{2.0}));
  EXPECT_FALSE(paired_t_test(std::vector<double>{}, std::vector<double>{}));
  EXPECT_FALSE(paired_t_test(std::array{1.0, 2.0}, std::array{1.0, 2.0}));
  EXPECT_FALSE(paired_t_test(std::array{0.1, 0.2, 0.3}, std::array{0.2, 0.3, 0.4}))
      << "differences equal but for rounding";
  EXPECT_FALSE(paired_t_test(std::array{1.0, std::nan("")}, std::array{1.0, 2.0}));
  EXPECT_THROW(static_cast<void>(paired_t_test(std::array{1.0, 2.0}, std::array{1.0})), Error);
}

TEST(PText, SaysTwoDigitsThatCount) {
  EXPECT_EQ(p_text(0.00002), "< 0.0001");
  EXPECT_EQ(p_text(0.002833), "0.0028");
  EXPECT_EQ(p_text(0.0484), "0.048");
  EXPECT_EQ(p_text(0.314), "0.31");
  EXPECT_EQ(p_text(1.0), "1.00");
}

}  // namespace

}  // namespace xtasc::report
