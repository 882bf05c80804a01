#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "core/error.hpp"
#include "loss/direct.hpp"
#include "loss/transferred.hpp"
#include "support/losses.hpp"

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

TEST(DepthLoss, MeansByImageThenOverImages) {
  // Image 0: errors 1 and 3 on two valid pixels. Image 1: error 0.5 on one. Image 2: nothing valid, left out.
  const at::Tensor target = at::tensor({1.0, 1.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0}).view({3, 1, 1, 3});
  const at::Tensor prediction = at::tensor({2.0, 4.0, 9.0, 4.5, 9.0, 9.0, 9.0, 9.0, 9.0}).view({3, 1, 1, 3});
  const std::map<config::DepthLoss, double> expected = {
      {config::DepthLoss::l1, ((1.0 + 3.0) / 2 + 0.5) / 2},
      {config::DepthLoss::mse, ((1.0 + 9.0) / 2 + 0.25) / 2},
      {config::DepthLoss::log_l1, ((std::log(2.0) + std::log(4.0)) / 2 + std::log(1.5)) / 2},
      {config::DepthLoss::smooth_l1, ((0.5 + 2.5) / 2 + 0.125) / 2}};
  for (const auto& [kind, value] : expected) {
    const SummedLoss loss = depth_loss(kind, prediction.to(at::kDouble), target.to(at::kDouble), target > 0);
    EXPECT_EQ(loss.count.item<std::int64_t>(), 2);
    EXPECT_NEAR(mean(loss), value, 1e-14) << config::name(kind);
  }
}

TEST(DepthLoss, NothingValidGivesNoNanAndNoGradient) {
  for (std::size_t kind = 0; kind < config::names<config::DepthLoss>().size(); ++kind) {
    at::Tensor prediction = at::full({2, 1, 4, 4}, 1e30).set_requires_grad(true);
    const at::Tensor target = at::zeros({2, 1, 4, 4});
    const SummedLoss loss = depth_loss(static_cast<config::DepthLoss>(kind), prediction, target, target > 0);
    loss.sum.backward();
    EXPECT_EQ(loss.sum.item<double>(), 0.0);
    EXPECT_EQ(loss.count.item<std::int64_t>(), 0);
    EXPECT_TRUE(at::equal(prediction.grad(), at::zeros_like(prediction)));
  }
}

TEST(Ssim, EqualsAPlainLoop) {
  at::manual_seed(4);
  const at::Tensor p = at::rand({3, 1, 5, 7}, at::kDouble) * 2;
  const at::Tensor t = at::rand({3, 1, 5, 7}, at::kDouble) * 2;
  at::Tensor valid = at::ones({3, 1, 5, 7}, at::kBool);
  valid[0][0][1][1] = false;
  valid[2][0].narrow(0, 2, 1).fill_(false);  // the middle row lies in every window
  double sum = 0.0;
  int images = 0;
  for (int n = 0; n < 3; ++n) {
    double of_image = 0.0;
    int windows = 0;
    for (int y = 0; y + 3 <= 5; ++y) {
      for (int x = 0; x + 3 <= 7; ++x) {
        const auto cut = [&](const at::Tensor& tensor) { return tensor[n][0].narrow(0, y, 3).narrow(1, x, 3); };
        if (!cut(valid).all().item<bool>()) {
          continue;
        }
        const double mp = cut(p).mean().item<double>();
        const double mt = cut(t).mean().item<double>();
        const double vp = (cut(p) - mp).square().mean().item<double>();
        const double vt = (cut(t) - mt).square().mean().item<double>();
        const double cov = ((cut(p) - mp) * (cut(t) - mt)).mean().item<double>();
        const double ssim = (2 * mp * mt + 1e-4) * (2 * cov + 9e-4) / ((mp * mp + mt * mt + 1e-4) * (vp + vt + 9e-4));
        of_image += std::clamp((1 - ssim) / 2, 0.0, 1.0);
        ++windows;
      }
    }
    sum += windows > 0 ? of_image / windows : 0.0;
    images += windows > 0 ? 1 : 0;
  }
  const SummedLoss loss = ssim_depth(p, t, valid);
  EXPECT_EQ(images, 2);
  EXPECT_EQ(loss.count.item<std::int64_t>(), images);
  EXPECT_NEAR(loss.sum.item<double>(), sum, 1e-12);
}

TEST(Ssim, FlatDepthInFloat32KeepsItsDigits) {
  // Variances of 1e-6 at a mean of 50: a difference of two float32 means of squares would be rounding alone.
  at::manual_seed(5);
  const at::Tensor p = 50.0 + 1e-3 * at::randn({1, 1, 16, 16}, at::kDouble);
  const at::Tensor t = 50.0 + 1e-3 * at::randn({1, 1, 16, 16}, at::kDouble);
  const at::Tensor valid = at::ones({1, 1, 16, 16}, at::kBool);
  const SummedLoss found = ssim_depth(p.to(at::kFloat), t.to(at::kFloat), valid);
  const SummedLoss expected = ssim_depth(p.to(at::kFloat).to(at::kDouble), t.to(at::kFloat).to(at::kDouble), valid);
  EXPECT_EQ(found.sum.scalar_type(), at::kFloat);
  EXPECT_NEAR(found.sum.item<double>() / expected.sum.item<double>(), 1.0, 1e-6);
  EXPECT_EQ(mean(ssim_depth(p, p, valid)), 0.0);
}

TEST(TargetDistribution, SmoothsAsSpecified) {
  const at::Tensor seg = at::tensor({0.0, 2.0, 1.0, -1.0}, at::kDouble).view({1, 4, 1, 1});
  const auto target = [&](const TargetOptions& options) { return target_distribution(seg, options).flatten(); };
  EXPECT_TRUE(at::equal(target({}), at::tensor({0.0, 1.0, 0.0, 0.0}, at::kDouble)));
  EXPECT_TRUE(at::allclose(target({.smoothing = 0.3}), at::tensor({0.1, 0.7, 0.1, 0.1}, at::kDouble), 0, 1e-15));
  const at::Tensor soft = at::softmax(seg, 1).flatten();
  EXPECT_TRUE(at::equal(target({.soft = true}), soft));
  const at::Tensor expected = 0.7 * soft + 0.1 * (1.0 - soft);
  EXPECT_TRUE(at::allclose(target({.soft = true, .smoothing = 0.3}), expected, 0, 1e-15));
}

TEST(DistributionLoss, EqualsAPlainLoop) {
  at::manual_seed(6);
  const at::Tensor logits = at::randn({2, 4, 3, 5}, at::kDouble);
  const at::Tensor seg = at::randn({2, 4, 3, 5}, at::kDouble);
  const at::Tensor labelled = at::rand({2, 3, 5}) < 0.7;
  for (const auto& options : {TargetOptions{}, {.smoothing = 0.2}, {.soft = true}, {.soft = true, .smoothing = 0.2}}) {
    const at::Tensor target = target_distribution(seg, options);
    const at::Tensor probability = at::softmax(logits, 1);
    double cross = 0.0;
    double entropy = 0.0;
    for (int n = 0; n < 2; ++n) {
      for (int y = 0; y < 3; ++y) {
        for (int x = 0; x < 5; ++x) {
          for (int c = 0; c < 4 && labelled[n][y][x].item<bool>(); ++c) {
            const double q = target[n][c][y][x].item<double>();
            cross -= q * std::log(probability[n][c][y][x].item<double>());
            entropy -= q > 0 ? q * std::log(q) : 0.0;
          }
        }
      }
    }
    using Kind = config::TransferredSegmentationLoss;
    const SummedLoss found = distribution_loss(Kind::cross, logits, target, labelled);
    EXPECT_NEAR(found.sum.item<double>(), cross, 1e-12);
    EXPECT_EQ(found.count.item<std::int64_t>(), labelled.sum().item<std::int64_t>());
    EXPECT_NEAR(distribution_loss(Kind::kl, logits, target, labelled).sum.item<double>(), cross - entropy, 1e-12);
  }
}

TEST(TaskLosses, ConsistencyTargetsAreDetachedPredictions) {
  at::manual_seed(2);
  const test::PairTruth targets{at::randint(0, 3, {1, 4, 4}, at::kLong), at::rand({1, 1, 4, 4}) + 0.5};
  test::PairPredictions p{at::randn({1, 3, 4, 4}), at::randn({1, 1, 4, 4}), at::randn({1, 1, 4, 4}),
                          at::randn({1, 3, 4, 4})};
  for (at::Tensor* tensor : {&p.seg_nchw, &p.depth_n1hw, &p.seg_to_depth_n1hw, &p.depth_to_seg_nchw}) {
    tensor->set_requires_grad(true);
  }
  const test::PairLosses losses = test::pair_losses("xtasc", {}, p, targets);
  (losses.seg_to_depth.sum + losses.depth_to_seg.sum).backward();
  EXPECT_FALSE(p.seg_nchw.grad().defined());
  EXPECT_FALSE(p.depth_n1hw.grad().defined());
  EXPECT_TRUE(p.seg_to_depth_n1hw.grad().defined());
  EXPECT_NEAR(losses.seg_to_depth.sum.item<double>(), (p.seg_to_depth_n1hw - p.depth_n1hw).abs().mean().item<double>(),
              1e-6);
}

TEST(TaskLosses, ConsistencyLeavesUnlabelledPixelsOut) {
  test::PairTruth targets{at::zeros({1, 4, 4}, at::kLong), at::ones({1, 1, 4, 4})};
  targets.labels_nhw[0][0].fill_(255);
  const test::PairPredictions p{at::randn({1, 3, 4, 4}), at::randn({1, 1, 4, 4}), at::randn({1, 1, 4, 4}),
                                at::randn({1, 3, 4, 4})};
  EXPECT_EQ(test::pair_losses("xtasc", {}, p, targets).depth_to_seg.count.item<std::int64_t>(), 12);
}

TEST(TaskLosses, AlignmentTargetsAreTheTruth) {
  const test::PairTruth targets{at::randint(0, 3, {1, 4, 4}, at::kLong), at::rand({1, 1, 4, 4}) + 0.5};
  const test::PairPredictions p{at::randn({1, 3, 4, 4}), at::randn({1, 1, 4, 4}), at::randn({1, 1, 4, 4}),
                                at::randn({1, 3, 4, 4})};
  config::LossSection options;
  const test::PairLosses losses = test::pair_losses("align", options, p, targets);
  EXPECT_NEAR(mean(losses.seg_to_depth), (p.seg_to_depth_n1hw - targets.depth_n1hw).abs().mean().item<double>(), 1e-6);
  EXPECT_NEAR(mean(losses.depth_to_seg), mean(cross_entropy(p.depth_to_seg_nchw, targets.labels_nhw)), 1e-6);
  options.depth = config::DepthLoss::mse;
  EXPECT_NEAR(mean(test::pair_losses("align", options, p, targets).seg_to_depth),
              (p.seg_to_depth_n1hw - targets.depth_n1hw).square().mean().item<double>(), 1e-6);
}

/// Every combination of the options of a system.
std::vector<std::pair<std::string_view, config::LossSection>> all_options() {
  std::vector<std::pair<std::string_view, config::LossSection>> all;
  for (const auto depth :
       {config::DepthLoss::l1, config::DepthLoss::mse, config::DepthLoss::log_l1, config::DepthLoss::smooth_l1}) {
    all.push_back({"align", {.depth = depth}});
    for (const auto transferred : {config::TransferredDepthLoss::l1, config::TransferredDepthLoss::ssim}) {
      for (const auto kind : {config::TransferredSegmentationLoss::cross, config::TransferredSegmentationLoss::kl}) {
        for (const bool soft : {false, true}) {
          for (const double smoothing : {0.0, 0.1}) {
            all.push_back({"xtasc",
                           {.depth = depth,
                            .transferred_depth = transferred,
                            .transferred_segmentation = kind,
                            .soft_target = soft,
                            .label_smoothing = smoothing}});
          }
        }
      }
    }
  }
  return all;
}

/// Five images: one without labels, one without depth, one without whole windows, and two with gaps.
struct FiveImages {
  FiveImages() {
    at::manual_seed(7);
    targets = {at::randint(0, 3, {5, 6, 8}, at::kLong), at::rand({5, 1, 6, 8}, at::kDouble) + 0.5};
    targets.labels_nhw.masked_fill_(at::rand({5, 6, 8}) < 0.2, 255);
    targets.labels_nhw[1].fill_(255);
    targets.depth_n1hw.masked_fill_(at::rand({5, 1, 6, 8}) < 0.05, 0.0);
    targets.depth_n1hw[2].fill_(0.0);
    targets.depth_n1hw[3].masked_fill_(at::arange(8) % 2 == 0, 0.0);
    inputs = {at::randn({5, 3, 6, 8}, at::kDouble), at::randn({5, 1, 6, 8}, at::kDouble),
              at::randn({5, 1, 6, 8}, at::kDouble), at::randn({5, 3, 6, 8}, at::kDouble)};
  }

  /// The four losses of images [begin, end).
  [[nodiscard]] std::array<SummedLoss, 4> losses(std::string_view system, const config::LossSection& options,
                                                 std::int64_t begin, std::int64_t end) const {
    const auto part = [&](const at::Tensor& tensor) { return tensor.narrow(0, begin, end - begin); };
    const test::PairLosses all = test::pair_losses(system, options,
                                                   {part(inputs.seg_nchw), part(inputs.depth_n1hw),
                                                    part(inputs.seg_to_depth_n1hw), part(inputs.depth_to_seg_nchw)},
                                                   {part(targets.labels_nhw), part(targets.depth_n1hw)});
    return {all.seg, all.depth, all.seg_to_depth, all.depth_to_seg};
  }

  test::PairTruth targets;
  test::PairPredictions inputs;
};

TEST(TaskLosses, PartsOfABatchAddUpToTheWhole) {
  const FiveImages images;
  for (const auto& [system, options] : all_options()) {
    const auto whole = images.losses(system, options, 0, 5);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      double sum = 0.0;
      std::int64_t count = 0;
      for (const auto& [begin, end] : {std::pair{0, 2}, {2, 3}, {3, 3}, {3, 5}}) {  // the third part holds no image
        const SummedLoss part = images.losses(system, options, begin, end)[i];
        sum += part.sum.item<double>();
        count += part.count.item<std::int64_t>();
      }
      EXPECT_NEAR(sum, whole[i].sum.item<double>(), 1e-10);
      EXPECT_EQ(count, whole[i].count.item<std::int64_t>());
      EXPECT_GT(count, 0);
    }
  }
}

TEST(TaskLosses, NothingLabelledAndNothingValidCountNothing) {
  FiveImages images;
  images.targets.labels_nhw.fill_(255);
  images.targets.depth_n1hw.fill_(0.0);
  for (at::Tensor* tensor : {&images.inputs.seg_nchw, &images.inputs.depth_n1hw, &images.inputs.seg_to_depth_n1hw,
                             &images.inputs.depth_to_seg_nchw}) {
    tensor->set_requires_grad(true);
  }
  for (const auto& [system, options] : all_options()) {
    for (const SummedLoss& loss : images.losses(system, options, 0, 5)) {
      EXPECT_EQ(loss.sum.item<double>(), 0.0);
      EXPECT_EQ(loss.count.item<std::int64_t>(), 0);
      loss.sum.backward();
    }
  }
  for (const at::Tensor& tensor : {images.inputs.seg_nchw, images.inputs.depth_n1hw, images.inputs.seg_to_depth_n1hw,
                                   images.inputs.depth_to_seg_nchw}) {
    EXPECT_TRUE(at::equal(tensor.grad(), at::zeros_like(tensor)));
  }
}

}  // namespace
}  // namespace xtasc::loss
