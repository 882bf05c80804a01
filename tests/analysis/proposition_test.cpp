#include "analysis/proposition.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/bootstrap.hpp"

namespace xtasc::analysis {
namespace {

constexpr std::int64_t kDraws = 50;

/// A value of (a, b, noise) for each of the 2 x 2 x 2 combinations of signs: uncorrelated, means 0, variances the
/// squares of the given numbers. X = (a, b), Z = a.
struct Signs {
  at::Tensor a, b, noise;  // (1, 1, 2, 4)
};

Signs signs(double a, double b, double noise) {
  const at::Tensor bits = at::arange(8, at::kLong);
  const auto sign = [&](std::int64_t bit) {
    return ((bits.div(bit, "floor") % 2) * 2 - 1).to(at::kDouble).view({1, 1, 2, 4});
  };
  return {sign(1) * a, sign(2) * b, sign(4) * noise};
}

PropositionBatch all_counted(const at::Tensor& truth, const at::Tensor& direct, const at::Tensor& transferred) {
  return {truth, direct, transferred, at::ones({truth.size(0), truth.size(2), truth.size(3)}, at::kBool)};
}

PropositionFigures figures_of(const PropositionBatch& batch) {
  const bool has_classes = batch.truth_nchw.size(1) > 1;
  Proposition proposition(batch.truth_nchw.size(0), has_classes ? task::Kind::classes : task::Kind::depth,
                          batch.truth_nchw.size(1), at::kCPU);
  proposition.add(0, batch);
  auto figures = proposition.figures(kDraws, 1);
  EXPECT_TRUE(figures.has_value());
  return *figures;
}

double value(const at::Tensor& replicates) {
  return replicates[0].item<double>();
}

TEST(Proposition, OfExactConditionalMeansIsTheVarianceThatTheOtherTaskLeavesOpen) {
  // Y = a + b + noise + 3, Z = a: E[Y|X] = a + b + 3 and E[E[Y|X] | E[Z|X]] = E[Y | E[Z|X]] = a + 3.
  const auto [a, b, noise] = signs(2.0, 1.0, 0.5);
  const auto figures = figures_of(all_counted(a + b + noise + 3.0, a + b + 3.0, a + 3.0));
  EXPECT_EQ(figures.num_pixels, 8.0);
  EXPECT_NEAR(value(figures.transferred_to_direct), 1.0, 1e-12);  // b^2
  EXPECT_NEAR(value(figures.direct_to_truth), 0.25, 1e-12);       // noise^2: smaller, so the bound fails
  EXPECT_NEAR(value(figures.transferred_to_truth), 1.25, 1e-12);
  EXPECT_NEAR(value(figures.unexplained), 1.0 / 5.0, 1e-12);  // b^2 / (a^2 + b^2)
  EXPECT_NEAR(value(figures.pythagoras), 1.0, 1e-12);
  for (const Regression* regression : {&figures.truth_on_direct, &figures.direct_on_transferred}) {
    EXPECT_NEAR(value(regression->slope), 1.0, 1e-12);
    EXPECT_NEAR(value(regression->residual), 0.0, 1e-12);
    EXPECT_NEAR(regression->intercept_c[0].item<double>(), 0.0, 1e-12);
    EXPECT_TRUE(std::isnan(value(regression->calibration)));
  }
}

TEST(Proposition, WithoutNoiseXiIsZeroAndBoundsNothing) {
  const auto [a, b, noise] = signs(2.0, 1.0, 0.0);
  const auto figures = figures_of(all_counted(a + b + noise, a + b, a));
  EXPECT_EQ(value(figures.direct_to_truth), 0.0);
  EXPECT_NEAR(value(figures.transferred_to_direct), 1.0, 1e-12);
}

TEST(Proposition, HoldsWhereTheDirectPredictionIsAFunctionOfTheOtherTasks) {
  const auto [a, b, noise] = signs(2.0, 1.0, 0.5);
  const auto figures = figures_of(all_counted(a + noise, a, a));
  EXPECT_EQ(value(figures.transferred_to_direct), 0.0);
  EXPECT_EQ(value(figures.unexplained), 0.0);
  EXPECT_NEAR(value(figures.direct_to_truth), 0.25, 1e-12);
}

TEST(Proposition, RegressionFindsAKnownLine) {
  // Y = 2 direct + 1 + noise, direct = 0.5 transferred - 1 exactly.
  const auto [a, b, noise] = signs(2.0, 0.0, 0.5);
  const at::Tensor direct = a + 5.0;
  const auto figures = figures_of(all_counted(2.0 * direct + 1.0 + noise, direct, 2.0 * direct + 2.0));
  EXPECT_NEAR(value(figures.truth_on_direct.slope), 2.0, 1e-12);
  EXPECT_NEAR(figures.truth_on_direct.intercept_c[0].item<double>(), 1.0, 1e-10);
  EXPECT_NEAR(figures.truth_on_direct.mean_residual_c[0].item<double>(), 6.0, 1e-12);
  EXPECT_NEAR(value(figures.truth_on_direct.residual), 6.0 / std::sqrt(16.25), 1e-10);
  EXPECT_NEAR(value(figures.direct_on_transferred.slope), 0.5, 1e-12);
  EXPECT_NEAR(figures.direct_on_transferred.intercept_c[0].item<double>(), -1.0, 1e-10);
}

TEST(Proposition, ConstantPredictionsHaveNoSlopeAndNoShare) {
  const auto [a, b, noise] = signs(2.0, 1.0, 0.5);
  const auto figures = figures_of(all_counted(a, at::full_like(a, 0.1), at::full_like(a, 0.7)));
  EXPECT_TRUE(std::isnan(value(figures.truth_on_direct.slope)));
  EXPECT_TRUE(std::isnan(value(figures.direct_on_transferred.slope)));
  EXPECT_TRUE(std::isnan(value(figures.direct_on_transferred.residual)));
  EXPECT_TRUE(std::isnan(value(figures.unexplained)));
  EXPECT_NEAR(value(figures.transferred_to_direct), 0.36, 1e-12);
  EXPECT_EQ(near_ideal(estimate(figures.unexplained, 2), 0.0, 0.01), Verdict::undecided);
}

TEST(Proposition, SegmentationSideByHand) {
  // Three labelled pixels of class 0, 0, 1 and an ignored one; direct says (0.75, 0.25) and transferred (0.5, 0.5).
  const at::Tensor logits = at::zeros({1, 2, 1, 4});
  logits.select(1, 0).fill_(std::log(3.0));
  const at::Tensor labels = at::tensor({0, 0, 1, 255}, at::kLong).view({1, 1, 4});
  const at::Tensor depth = at::ones({1, 1, 1, 4});
  const auto side = side_of(task::Kind::classes, {logits, at::zeros({1, 2, 1, 4}), labels});
  const auto figures = figures_of(side);
  EXPECT_EQ(figures.num_pixels, 3.0);
  EXPECT_NEAR(value(figures.transferred_to_direct), 2.0 / 16.0, 1e-7);
  EXPECT_NEAR(value(figures.direct_to_truth), 2.0 * (1.0 / 16.0 + 1.0 / 16.0 + 9.0 / 16.0) / 3.0, 1e-7);
  EXPECT_NEAR(value(figures.transferred_to_truth), 0.5, 1e-7);
  // Both classes: two thirds against 0.75, one third against 0.25, each in one bin.
  EXPECT_NEAR(value(figures.truth_on_direct.calibration), 0.75 - 2.0 / 3.0, 1e-7);
  EXPECT_NEAR(value(figures.direct_on_transferred.calibration), 0.25, 1e-7);
}

TEST(Proposition, DepthSideCountsValidPixelsOnly) {
  const at::Tensor target = at::tensor({1.0F, 0.0F, 2.0F}).view({1, 1, 1, 3});
  const at::Tensor direct = at::tensor({2.0F, NAN, 2.0F}).view({1, 1, 1, 3});
  const at::Tensor transferred = at::tensor({2.0F, 9.0F, 5.0F}).view({1, 1, 1, 3});
  const auto figures = figures_of(side_of(task::Kind::depth, {direct, transferred, target}));
  EXPECT_EQ(figures.num_pixels, 2.0);
  EXPECT_EQ(value(figures.transferred_to_direct), 4.5);
  EXPECT_EQ(value(figures.direct_to_truth), 0.5);
  EXPECT_EQ(value(figures.transferred_to_truth), 5.0);
}

TEST(Proposition, ReadsNormalsAsUnitVectors) {
  const at::Tensor target = at::tensor({0.0F, 0.0F, -1.0F, 0.0F, 0.0F, 0.0F}).view({1, 2, 1, 3}).permute({0, 3, 1, 2});
  const at::Tensor direct = at::tensor({0.0F, 0.0F, -9.0F, 1.0F, 0.0F, 0.0F}).view({1, 2, 1, 3}).permute({0, 3, 1, 2});
  const at::Tensor transferred =
      at::tensor({0.0F, 4.0F, 0.0F, 0.0F, 1.0F, 0.0F}).view({1, 2, 1, 3}).permute({0, 3, 1, 2});
  const PropositionBatch side = side_of(task::Kind::unit_vector, {direct, transferred, target});
  Proposition proposition(1, task::Kind::unit_vector, 3, at::kCPU);
  proposition.add(0, side);
  const auto figures = proposition.figures(kDraws, 1);
  ASSERT_TRUE(figures.has_value());
  EXPECT_EQ(figures->num_pixels, 1.0);
  EXPECT_NEAR(value(figures->direct_to_truth), 0.0, 1e-12);
  EXPECT_NEAR(value(figures->transferred_to_direct), 2.0, 1e-12);
  EXPECT_TRUE(std::isnan(value(figures->truth_on_direct.calibration)));
}

TEST(Proposition, WithoutACountedPixelSaysNothing) {
  Proposition proposition(2, task::Kind::depth, 1, at::kCPU);
  EXPECT_FALSE(proposition.figures(kDraws, 1).has_value());
  const at::Tensor zeros = at::zeros({2, 1, 2, 2}, at::kDouble);
  proposition.add(0, {zeros, zeros, zeros, at::zeros({2, 2, 2}, at::kBool)});
  EXPECT_FALSE(proposition.figures(kDraws, 1).has_value());
}

TEST(Proposition, DependsOnNeitherBatchesNorRanksToTheLastBit) {
  at::manual_seed(4);
  const auto softmax = [] { return at::softmax(at::randn({5, 3, 4, 4}, at::kDouble), 1); };
  const PropositionBatch whole = {softmax(), softmax(), softmax(), at::rand({5, 4, 4}) < 0.7};
  Proposition all(5, task::Kind::classes, 3, at::kCPU);
  all.add(0, whole);
  Proposition first(5, task::Kind::classes, 3, at::kCPU);
  Proposition second(5, task::Kind::classes, 3, at::kCPU);
  for (const auto& [begin, size] : {std::pair{0, 2}, {2, 2}, {4, 1}}) {
    const auto part = [&](const at::Tensor& tensor) { return tensor.narrow(0, begin, size); };
    (begin == 2 ? second : first)
        .add(begin,
             {part(whole.truth_nchw), part(whole.direct_nchw), part(whole.transferred_nchw), part(whole.counted_nhw)});
  }
  at::Tensor of_second;
  second.sum_over_ranks([&](const at::Tensor& tensor) { of_second = tensor; });
  first.sum_over_ranks([&](const at::Tensor& tensor) { tensor.add_(of_second); });
  const auto expected = all.figures(kDraws, 1);
  const auto found = first.figures(kDraws, 1);
  EXPECT_TRUE(at::equal(found->transferred_to_direct, expected->transferred_to_direct));
  EXPECT_TRUE(at::equal(found->truth_on_direct.slope, expected->truth_on_direct.slope));
  EXPECT_TRUE(at::equal(found->direct_on_transferred.calibration, expected->direct_on_transferred.calibration));
}

TEST(Bootstrap, ErrorOfAMeanIsThatOfTheTextbook) {
  at::manual_seed(5);
  const std::int64_t n = 400;
  const at::Tensor values = at::randn({n}, at::kDouble) * 3.0 + 1.0;
  const at::Tensor weights = bootstrap_weights(n, 1000, 1);
  EXPECT_TRUE(at::equal(weights, bootstrap_weights(n, 1000, 1)));
  EXPECT_TRUE(weights.sum(1).eq(static_cast<double>(n)).all().item<bool>());
  const Estimate mean = estimate(at::matmul(weights, values) / static_cast<double>(n), n);
  const double textbook = values.std().item<double>() / std::sqrt(static_cast<double>(n));
  EXPECT_NEAR(mean.value, values.mean().item<double>(), 1e-12);
  EXPECT_NEAR(mean.error / textbook, 1.0, 0.1);
  EXPECT_NEAR((mean.high - mean.low) / (2.0 * 1.96 * textbook), 1.0, 0.1);
}

TEST(Bootstrap, VerdictsAreOfTheWholeInterval) {
  EXPECT_EQ(at_most_zero({-1.0, 0.1, -1.2, -0.8}), Verdict::held);
  EXPECT_EQ(at_most_zero({0.0, 0.0, 0.0, 0.0}), Verdict::held);
  EXPECT_EQ(at_most_zero({-0.1, 0.1, -0.3, 0.1}), Verdict::undecided);
  EXPECT_EQ(at_most_zero({1.0, 0.1, 0.8, 1.2}), Verdict::failed);
  EXPECT_EQ(near_ideal({1.01, 0.01, 0.99, 1.03}, 1.0, 0.05), Verdict::held);
  EXPECT_EQ(near_ideal({1.04, 0.01, 1.02, 1.06}, 1.0, 0.05), Verdict::undecided);
  EXPECT_EQ(near_ideal({0.8, 0.01, 0.78, 0.82}, 1.0, 0.05), Verdict::failed);
  // A single image, or a value that is not a number, decides nothing.
  const Estimate one_image = estimate(at::full({11}, 0.0, at::kDouble), 1);
  EXPECT_TRUE(std::isnan(one_image.error));
  EXPECT_EQ(at_most_zero(one_image), Verdict::undecided);
  EXPECT_EQ(near_ideal(estimate(at::full({11}, NAN, at::kDouble), 9), 0.0, 1.0), Verdict::undecided);
}

}  // namespace
}  // namespace xtasc::analysis
