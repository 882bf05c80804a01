#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "loss/consistency.hpp"
#include "loss/direct.hpp"
#include "weighting/task_weighting.hpp"

namespace xtasc::loss {
namespace {

double mean(const SummedLoss& loss) {
  return loss.sum.item<double>() / loss.count.item<double>();
}

TEST(CrossEntropy, EqualsAPlainLoop) {
  at::manual_seed(1);
  const at::Tensor logits = at::randn({2, 4, 3, 5}, at::kDouble);
  at::Tensor labels = at::randint(0, 4, {2, 3, 5}, at::kLong);
  labels[0][1][2] = 255;
  labels[1][0][0] = 255;
  double sum = 0.0;
  int count = 0;
  for (int n = 0; n < 2; ++n) {
    for (int y = 0; y < 3; ++y) {
      for (int x = 0; x < 5; ++x) {
        const auto label = labels[n][y][x].item<std::int64_t>();
        if (label == 255) {
          continue;
        }
        double partition = 0.0;
        for (int c = 0; c < 4; ++c) {
          partition += std::exp(logits[n][c][y][x].item<double>());
        }
        sum += std::log(partition) - logits[n][label][y][x].item<double>();
        ++count;
      }
    }
  }
  const SummedLoss loss = cross_entropy(logits, labels);
  EXPECT_NEAR(loss.sum.item<double>(), sum, 1e-12);
  EXPECT_EQ(loss.count.item<std::int64_t>(), count);
}

TEST(CrossEntropy, NothingLabelledCountsNothing) {
  const SummedLoss loss = cross_entropy(at::randn({2, 4, 3, 5}), at::full({2, 3, 5}, 255, at::kLong));
  EXPECT_EQ(loss.sum.item<double>(), 0.0);
  EXPECT_EQ(loss.count.item<std::int64_t>(), 0);
}

TEST(CrossEntropy, RefusesSizesThatDisagree) {
  EXPECT_THROW(cross_entropy(at::randn({2, 4, 3, 5}), at::zeros({2, 3, 4}, at::kLong)), Error);
}

TEST(L1Depth, MeansByImageThenOverImages) {
  // Image 0: errors 1 and 3 on two valid pixels -> 2. Image 1: error 10 on one -> 10. Image 2: nothing valid, left out.
  const at::Tensor target = at::tensor({1.0, 1.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0}).view({3, 1, 1, 3});
  const at::Tensor prediction = at::tensor({2.0, 4.0, 9.0, 15.0, 9.0, 9.0, 9.0, 9.0, 9.0}).view({3, 1, 1, 3});
  const SummedLoss loss = l1_depth(prediction, target, target > 0);
  EXPECT_EQ(loss.count.item<std::int64_t>(), 2);
  EXPECT_DOUBLE_EQ(mean(loss), 6.0);
}

TEST(TaskLosses, ConsistencyTargetsAreDetachedPredictions) {
  at::manual_seed(2);
  const Targets targets{at::randint(0, 3, {1, 4, 4}, at::kLong), at::rand({1, 1, 4, 4}) + 0.5};
  LossInputs p{at::randn({1, 3, 4, 4}), at::randn({1, 1, 4, 4}), at::randn({1, 1, 4, 4}), at::randn({1, 3, 4, 4})};
  for (at::Tensor* tensor : {&p.seg_nchw, &p.depth_n1hw, &p.seg_to_depth_n1hw, &p.depth_to_seg_nchw}) {
    tensor->set_requires_grad(true);
  }
  const TaskLosses losses = task_losses(config::System::xtasc, p, targets);
  (losses.seg_to_depth.sum + losses.depth_to_seg.sum).backward();
  EXPECT_FALSE(p.seg_nchw.grad().defined());
  EXPECT_FALSE(p.depth_n1hw.grad().defined());
  EXPECT_TRUE(p.seg_to_depth_n1hw.grad().defined());
  EXPECT_NEAR(losses.seg_to_depth.sum.item<double>(), (p.seg_to_depth_n1hw - p.depth_n1hw).abs().mean().item<double>(),
              1e-6);
}

TEST(TaskLosses, ConsistencyLeavesUnlabelledPixelsOut) {
  Targets targets{at::zeros({1, 4, 4}, at::kLong), at::ones({1, 1, 4, 4})};
  targets.labels_nhw[0][0].fill_(255);
  const LossInputs p{at::randn({1, 3, 4, 4}), at::randn({1, 1, 4, 4}), at::randn({1, 1, 4, 4}),
                     at::randn({1, 3, 4, 4})};
  EXPECT_EQ(task_losses(config::System::xtasc, p, targets).depth_to_seg.count.item<std::int64_t>(), 12);
}

TEST(TaskLosses, AlignmentTargetsAreTheTruth) {
  const Targets targets{at::randint(0, 3, {1, 4, 4}, at::kLong), at::rand({1, 1, 4, 4}) + 0.5};
  const LossInputs p{at::randn({1, 3, 4, 4}), at::randn({1, 1, 4, 4}), at::randn({1, 1, 4, 4}),
                     at::randn({1, 3, 4, 4})};
  const TaskLosses losses = task_losses(config::System::align, p, targets);
  EXPECT_NEAR(mean(losses.seg_to_depth), (p.seg_to_depth_n1hw - targets.depth_n1hw).abs().mean().item<double>(), 1e-6);
  EXPECT_NEAR(mean(losses.depth_to_seg), mean(cross_entropy(p.depth_to_seg_nchw, targets.labels_nhw)), 1e-6);
}

TEST(Uncertainty, GradientIsTheObjectivesDerivative) {
  const auto weighting = weighting::make_uncertainty(at::kDouble);
  const at::Tensor losses = at::tensor({2.0, 0.3}, at::kDouble);
  weighting->flat_values().copy_(at::tensor({0.4, -0.7}, at::kDouble));
  const auto total_at = [&](std::int64_t index, double shift) {
    weighting->flat_values()[index] += shift;
    const double total = weighting->weigh(losses).total.item<double>();
    weighting->flat_values()[index] -= shift;
    return total;
  };
  for (std::int64_t i = 0; i < 2; ++i) {
    const double numeric = (total_at(i, 1e-6) - total_at(i, -1e-6)) / 2e-6;
    static_cast<void>(weighting->weigh(losses));
    EXPECT_NEAR(weighting->flat_gradients()[i].item<double>(), numeric, 1e-8);
  }
  const auto step = weighting->weigh(losses);
  EXPECT_NEAR(step.weights[0].item<double>(), 0.5 * std::exp(-0.4), 1e-12);
  EXPECT_NEAR(step.total.item<double>(), 0.5 * std::exp(-0.4) * 2.0 + 0.4 + 0.5 * std::exp(0.7) * 0.3 - 0.7, 1e-12);
}

TEST(Equal, AddsTheLosses) {
  const auto step = weighting::make_equal(at::kDouble)->weigh(at::tensor({2.0, 0.3}, at::kDouble));
  EXPECT_DOUBLE_EQ(step.total.item<double>(), 2.3);
  EXPECT_TRUE(at::equal(step.weights, at::ones({2}, at::kDouble)));
}

}  // namespace
}  // namespace xtasc::loss
