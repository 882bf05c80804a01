#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>

#include "config/run_config.hpp"
#include "kernels/dropout/dropout.hpp"
#include "weighting/methods.hpp"

// Methods that look at the gradients element by element, against their definitions on whole vectors, for two tasks and
// three. The vectors lie in two pieces of a longer net, as what all tasks share may.
namespace xtasc::weighting {
namespace {

constexpr std::int64_t kValues = 50, kFirst = 3, kSecond = 30, kSize = 12;
constexpr int kSteps = 4;

class VectorMethods : public testing::TestWithParam<std::int64_t> {
 protected:
  std::unique_ptr<TaskWeighting> make(const std::string& method) const {
    config::WeightingSection section = config::default_weighting(method);
    section.learning_rate = 0.2;
    return make_task_weighting(
        {.section = section, .num_tasks = GetParam(), .num_values = kValues, .seed = 3, .tensors = at::kDouble});
  }

  at::Tensor random() { return at::randn({GetParam(), 2 * kSize}, generator_, at::kDouble); }
  at::Tensor random_losses() { return at::rand({GetParam()}, generator_, at::kDouble) + 0.2; }

  struct Combined {
    at::Tensor factors_t, gradients;  ///< gradients: (T, 2 kSize) as the method leaves them
    [[nodiscard]] at::Tensor sum() const { return at::mv(gradients.t(), factors_t); }
  };
  /// As train::TaskGradients asks.
  static Combined combine(TaskWeighting& method, const at::Tensor& g, const at::Tensor& losses, std::int64_t step) {
    const at::Tensor weights = method.weigh(losses, {.step = step}).weights;
    const at::Tensor flat = at::zeros({g.size(0), kValues}, at::kDouble);
    const at::Tensor weighted = g * weights.unsqueeze(1);
    flat.narrow(1, kFirst, kSize).copy_(weighted.narrow(1, 0, kSize));
    flat.narrow(1, kSecond, kSize).copy_(weighted.narrow(1, kSize, kSize));
    std::vector<GradientPiece> pieces = {{.first = kFirst, .of_task = {}}, {.first = kSecond, .of_task = {}}};
    for (GradientPiece& piece : pieces) {
      for (std::int64_t task = 0; task < g.size(0); ++task) {
        piece.of_task.push_back(flat[task].narrow(0, piece.first, kSize));
      }
    }
    method.see_gradients(pieces, losses, {.step = step});
    const at::Tensor now = at::cat({flat.narrow(1, kFirst, kSize), flat.narrow(1, kSecond, kSize)}, 1);
    const at::Tensor factors = method.combine(at::matmul(now, now.t()), losses, {.step = step});
    return {factors, now};
  }

 private:
  at::Generator generator_ = at::detail::createCPUGenerator(11);
};

double deviation(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

TEST_P(VectorMethods, DbMtlScalesMovingAveragesToTheLongest) {
  const auto method = make("db_mtl");
  at::Tensor average;
  for (int step = 0; step < kSteps; ++step) {
    const at::Tensor g = random();
    const at::Tensor losses = random_losses();
    const Combined found = combine(*method, g, losses, step);
    const at::Tensor of_log = g / (losses + 1e-8).unsqueeze(1);
    average = step == 0 ? of_log : 0.9 * average + 0.1 * of_log;
    const at::Tensor norms = average.norm(2, 1, true);
    EXPECT_LT(deviation(found.sum(), (average * norms.max() / (norms + 1e-8)).sum(0)), 1e-12) << step;
  }
}

/// For two tasks: max(|g_1| / L_1, |g_2| / L_2) (u_1 + u_2).
TEST_P(VectorMethods, DbMtlWithoutAverageKeepsNothing) {
  config::WeightingSection section = config::default_weighting("db_mtl");
  section.beta = 0.0;
  const auto method =
      make_task_weighting({.section = section, .num_tasks = GetParam(), .num_values = kValues, .tensors = at::kDouble});
  EXPECT_TRUE(method->state().empty());
  const at::Tensor g = random();
  const at::Tensor losses = random_losses();
  const at::Tensor norms = g.norm(2, 1);
  const at::Tensor expected = (norms / losses).max() * (g / norms.unsqueeze(1)).sum(0);
  EXPECT_LT(deviation(combine(*method, g, losses, 5).sum(), expected), 1e-6);
}

/// A batch without labels of a task has no loss and no gradient of it: the task's average waits, and harms no number.
TEST_P(VectorMethods, DbMtlKeepsTheAverageOfATaskThatABatchLacks) {
  const auto method = make("db_mtl");
  const at::Tensor g = random();
  const at::Tensor losses = random_losses();
  at::Tensor without = g.clone();
  without[1].zero_();
  at::Tensor fewer = losses.clone();
  fewer[1].zero_();
  const at::Tensor first = combine(*method, without, fewer, 0).factors_t;
  EXPECT_EQ(first[1].item<double>(), 0.0);
  EXPECT_LT(method->weigh(fewer, {}).weights.max().item<double>(), 1e6);
  EXPECT_LT(first.max().item<double>(), 1e6);
  const at::Tensor seen = combine(*method, g, losses, 1).gradients;
  const at::Tensor of_log = g / (losses + 1e-8).unsqueeze(1);
  EXPECT_LT(deviation(seen[1], of_log[1]), 1e-12) << "the first gradient is the first average";
  EXPECT_TRUE(at::equal(combine(*method, without, fewer, 2).gradients[1], seen[1]));
}

TEST_P(VectorMethods, MocoTracksNormalisedGradients) {
  const auto method = make("moco");
  at::Tensor tracked = at::zeros({GetParam(), 2 * kSize}, at::kDouble);
  at::Tensor shares = at::full({GetParam()}, 1.0 / static_cast<double>(GetParam()), at::kDouble);
  for (int step = 0; step < kSteps; ++step) {
    const at::Tensor g = random();
    const at::Tensor losses = random_losses();
    const Combined found = combine(*method, g, losses, step);
    const double root = std::sqrt(step + 1.0);
    const at::Tensor wanted = losses.unsqueeze(1) * g / (g.norm(2, 1, true) + 1e-8);
    tracked = tracked - 0.5 / root * (tracked - wanted);
    shares = at::softmax(shares - 0.2 / root * at::mv(at::matmul(tracked, tracked.t()), shares), 0);
    EXPECT_LT(deviation(found.sum(), at::mv(tracked.t(), shares)), 1e-12) << step;
    EXPECT_LT(deviation(found.factors_t, shares), 1e-12) << step;
  }
}

TEST_P(VectorMethods, ExcessMtlFollowsTheExcessRisks) {
  const auto method = make("excess_mtl");
  at::Tensor squares = at::zeros({GetParam(), 2 * kSize}, at::kDouble);
  at::Tensor weights = at::ones({GetParam()}, at::kDouble);
  at::Tensor first;
  for (int step = 0; step < kSteps; ++step) {
    const at::Tensor g = random();
    const Combined found = combine(*method, g, random_losses(), step + 7);  // a resumed run, as one from the start
    squares = squares + g * g;
    const at::Tensor excess = (g * g / (squares + 1e-7).sqrt()).sum(1);
    first = step == 0 ? excess : first;
    weights = weights * (0.2 * excess / first).exp();
    weights = weights * static_cast<double>(GetParam()) / weights.sum();
    EXPECT_LT(deviation(found.factors_t, weights), 1e-12) << step;
    EXPECT_TRUE(at::equal(found.gradients, g)) << step;
  }
}

TEST_P(VectorMethods, GraddropKeepsOneSignOfEachElement) {
  const auto method = make("graddrop");
  const at::Tensor g = random();
  const at::Tensor found = combine(*method, g, random_losses(), 2).gradients;
  const at::Tensor is_kept = found == g;
  EXPECT_TRUE(is_kept.logical_or(found == 0.0).all().item<bool>());
  const at::Tensor has_positive = (found > 0.0).any(0);
  const at::Tensor has_negative = (found < 0.0).any(0);
  EXPECT_FALSE(has_positive.logical_and(has_negative).any().item<bool>());
  EXPECT_TRUE((found.abs().sum(0) > 0.0).logical_or((g > 0.0).all(0)).logical_or((g < 0.0).all(0)).all().item<bool>())
      << "an element with both signs has lost both";
  EXPECT_TRUE(at::equal(found, combine(*make("graddrop"), g, random_losses(), 2).gradients));
  EXPECT_FALSE(at::equal(found, combine(*method, g, random_losses(), 3).gradients));
}

INSTANTIATE_TEST_SUITE_P(Tasks, VectorMethods, testing::Values(2, 3));

/// What is kept of the positive part, over many draws, is its share.
TEST(DropBySign, KeepsThePositiveWithTheirShare) {
  constexpr std::int64_t kCount = 200000;
  const at::Tensor uniforms = kernels::element_uniforms(17, kCount, 0x1234567890abcdefU, at::kCPU);
  EXPECT_NEAR(uniforms.mean().item<double>(), 0.5, 0.005);
  EXPECT_GE(uniforms.min().item<double>(), 0.0);
  EXPECT_LT(uniforms.max().item<double>(), 1.0);
  const at::Tensor a = at::full({kCount}, 3.0, at::kDouble);
  const at::Tensor b = at::full({kCount}, -1.0, at::kDouble);
  drop_by_sign({a, b}, uniforms);
  EXPECT_NEAR((a > 0.0).to(at::kDouble).mean().item<double>(), 0.5 * (1.0 + 2.0 / 4.0), 0.005);
  EXPECT_TRUE(at::equal(b < 0.0, a == 0.0));
  // Each element's number is its own, wherever it is asked for.
  EXPECT_TRUE(
      at::equal(kernels::element_uniforms(17 + 40, 9, 0x1234567890abcdefU, at::kCPU), uniforms.narrow(0, 40, 9)));
}

}  // namespace
}  // namespace xtasc::weighting
