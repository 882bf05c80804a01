// Angles between directions, against plain loops.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "metric/metrics.hpp"

namespace xtasc::metric {
namespace {

/// (N, 3, 6, 8) float64 of any length.
at::Tensor vectors(std::int64_t count) {
  return at::randn({count, 3, 6, 8}, at::kDouble);
}

at::Tensor unit(const at::Tensor& vectors_n3hw) {
  return vectors_n3hw / at::linalg_vector_norm(vectors_n3hw, 2, {1}, true);
}

/// The angles in degrees at valid pixels, by the arc cosine.
std::vector<double> plain_angles(const at::Tensor& prediction, const at::Tensor& truth) {
  std::vector<double> angles;
  const at::Tensor p = prediction.permute({0, 2, 3, 1}).contiguous();
  const at::Tensor t = truth.permute({0, 2, 3, 1}).contiguous();
  const auto* a = p.const_data_ptr<double>();
  const auto* b = t.const_data_ptr<double>();
  for (std::int64_t i = 0; i < p.numel(); i += 3) {
    const double length = std::hypot(a[i], a[i + 1], a[i + 2]);
    if (b[i] == 0 && b[i + 1] == 0 && b[i + 2] == 0) {
      continue;
    }
    const double cosine = (a[i] * b[i] + a[i + 1] * b[i + 1] + a[i + 2] * b[i + 2]) / std::max(length, 1e-12);
    angles.push_back(std::acos(std::clamp(cosine, -1.0, 1.0)) * 180.0 / std::numbers::pi);
  }
  std::ranges::sort(angles);
  return angles;
}

Values plain_values(const std::vector<double>& angles) {
  const auto below = [&angles](double bound) {
    return static_cast<double>(std::ranges::count_if(angles, [bound](double angle) { return angle < bound; })) /
           static_cast<double>(angles.size());
  };
  double sum = 0.0;
  for (const double angle : angles) {
    sum += angle;
  }
  return {{"angle_mean", sum / static_cast<double>(angles.size())},
          {"angle_median", angles[(angles.size() - 1) / 2]},
          {"within_11", below(11.25)},
          {"within_22", below(22.5)},
          {"within_30", below(30.0)}};
}

Metrics normal_metrics() {
  return {{task::of_key("normals")}, 0, at::kCPU};
}

void expect_near(const Values& found, const Values& expected, double of_median) {
  ASSERT_EQ(found.size(), 5U);
  for (const auto& [name, value] : expected) {
    EXPECT_NEAR(found.at(name), value, name == "angle_median" ? of_median : 1e-9) << name;
  }
}

class NormalMetrics : public testing::Test {
 protected:
  void SetUp() override {
    at::manual_seed(3);
    truth = unit(vectors(5));
    prediction = vectors(5) * 0.4 + truth * 3.0;  // most of them near
    truth.masked_fill_((at::rand({5, 1, 6, 8}) < 0.2), 0.0);
    truth[3].fill_(0.0);  // an image without any
  }
  at::Tensor prediction, truth;
};

TEST_F(NormalMetrics, AreThoseOfPlainLoops) {
  Metrics metrics = normal_metrics();
  Values mean;
  for (const auto& [first, count] : {std::pair{0, 3}, {3, 1}, {4, 1}}) {
    const at::Tensor p = prediction.narrow(0, first, count);
    const at::Tensor t = truth.narrow(0, first, count);
    metrics.add({{"normals", p}}, {{"normals", t}});
    for (const auto& [name, value] : first == 3 ? Values() : plain_values(plain_angles(p, t))) {
      mean[name] += value * count / 4.0;  // the batch without any valid pixel is left out
    }
  }
  const Report report = metrics.report();
  expect_near(report.paper, mean, 1e-9);
  expect_near(report.dataset, plain_values(plain_angles(prediction, truth)), 0.0051);
}

TEST_F(NormalMetrics, OfRanksAddUp) {
  Metrics whole = normal_metrics();
  std::array<Metrics, 2> parts = {normal_metrics(), normal_metrics()};
  for (std::int64_t n = 0; n < 5; ++n) {
    for (Metrics* metrics : {&whole, &parts[static_cast<std::size_t>(n % 2)]}) {
      metrics->add({{"normals", prediction.narrow(0, n, 1)}}, {{"normals", truth.narrow(0, n, 1)}});
    }
  }
  std::vector<at::Tensor> of_other;
  parts[1].sum_over_ranks([&of_other](const at::Tensor& sums) { of_other.push_back(sums); });
  std::size_t next = 0;
  parts[0].sum_over_ranks([&](const at::Tensor& sums) { sums.add_(of_other[next++]); });
  const Report expected = whole.report();
  const Report found = parts[0].report();
  for (const auto& [name, value] : expected.paper) {
    EXPECT_NEAR(found.paper.at(name), value, 1e-12) << name;
  }
  EXPECT_EQ(found.dataset.at("angle_median"), expected.dataset.at("angle_median"));
}

TEST_F(NormalMetrics, ADirectionCountsNotALength) {
  const auto angle = [](std::vector<double> predicted) {
    Metrics metrics = normal_metrics();
    const at::Tensor upward = at::tensor({0.0, 0.6, -0.8}, at::kDouble).view({1, 3, 1, 1});
    metrics.add({{"normals", at::tensor(predicted, at::kDouble).view({1, 3, 1, 1})}}, {{"normals", upward}});
    return metrics.report().paper.at("angle_mean");
  };
  EXPECT_NEAR(angle({0.0, 6e-7, -8e-7}), 0.0, 1e-12);
  EXPECT_NEAR(angle({0.0, 600.0, -800.0}), 0.0, 1e-12);
  EXPECT_NEAR(angle({0.0, -6.0, 8.0}), 180.0, 1e-12);
  EXPECT_NEAR(angle({1.0, 0.0, 0.0}), 90.0, 1e-12);
  EXPECT_NEAR(angle({0.0, 0.0, 0.0}), 90.0, 1e-12);
}

TEST_F(NormalMetrics, OfNothingAreAbsent) {
  Metrics metrics = normal_metrics();
  metrics.add({{"normals", prediction.narrow(0, 3, 1)}}, {{"normals", truth.narrow(0, 3, 1)}});
  metrics.add({{"normals", prediction.narrow(0, 0, 0)}}, {{"normals", truth.narrow(0, 0, 0)}});
  EXPECT_TRUE(metrics.report().paper.empty());
  EXPECT_TRUE(metrics.report().dataset.empty());
}

}  // namespace
}  // namespace xtasc::metric
