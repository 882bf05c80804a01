// The losses in one pass against the plain ones, and against finite differences.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/error.hpp"
#include "loss/fused.hpp"
#include "support/losses.hpp"

namespace xtasc::loss {
namespace {

constexpr std::array<std::string_view, 5> kSystems = {"xtasc", "align", "base_mt", "base_st_seg", "base_st_depth"};
constexpr std::array kDepthLosses = {config::DepthLoss::l1, config::DepthLoss::mse, config::DepthLoss::log_l1,
                                     config::DepthLoss::smooth_l1};

/// Four images: one without labels, one without depth, two with gaps; what the system does not have is undefined.
struct FourImages {
  explicit FourImages(std::string_view system, at::ScalarType type = at::kDouble) {
    at::manual_seed(11);
    targets = {at::randint(0, 3, {4, 6, 8}, at::kLong), (at::rand({4, 1, 6, 8}, at::kDouble) + 0.5).to(type)};
    targets.labels_nhw.masked_fill_(at::rand({4, 6, 8}) < 0.2, 255);
    targets.labels_nhw[1].fill_(255);
    targets.depth_n1hw.masked_fill_(at::rand({4, 1, 6, 8}) < 0.1, 0.0);
    targets.depth_n1hw[2].fill_(0.0);
    const auto prediction = [&](std::int64_t channels, bool is_there) {
      const at::Tensor values = 2.0 * at::randn({4, channels, 6, 8}, at::kDouble);
      return is_there ? values.to(type).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_(true) : at::Tensor();
    };
    const bool has_transfer = test::system_named(system).has_transfer();
    inputs = {prediction(3, test::system_named(system).has("seg")),
              prediction(1, test::system_named(system).has("depth")), prediction(1, has_transfer),
              prediction(3, has_transfer)};
  }

  [[nodiscard]] std::array<at::Tensor, 4> leaves() const {
    return {inputs.seg_nchw, inputs.depth_n1hw, inputs.seg_to_depth_n1hw, inputs.depth_to_seg_nchw};
  }

  test::PairTruth targets;
  test::PairPredictions inputs;
};

std::array<SummedLoss, 4> in_order(const test::PairLosses& all) {
  return {all.seg, all.depth, all.seg_to_depth, all.depth_to_seg};
}

/// The four sums, each with a factor of its own, so that no gradient can be taken for another.
at::Tensor objective(const test::PairLosses& all) {
  at::Tensor sum = at::zeros({}, at::kDouble);
  double factor = 0.3;
  for (const SummedLoss& loss : in_order(all)) {
    sum = loss.sum.defined() ? sum + factor * loss.sum : sum;
    factor += 0.4;
  }
  return sum;
}

std::array<at::Tensor, 4> gradients(const FourImages& images, const test::PairLosses& all) {
  objective(all).backward();
  std::array<at::Tensor, 4> found;
  const auto leaves = images.leaves();
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (leaves[i].defined()) {
      found[i] = leaves[i].grad().clone();
      leaves[i].mutable_grad() = at::Tensor();
    }
  }
  return found;
}

double deviation(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

void expect_equal(std::string_view system, config::DepthLoss depth, at::ScalarType type, double tolerance) {
  SCOPED_TRACE(fmt::format("{}, {}", system, config::name(depth)));
  const FourImages images(system, type);
  config::LossSection options;
  options.depth = depth;
  ASSERT_TRUE(suits_fused(test::fused_terms_of(system, options, images.inputs), test::predictions_of(images.inputs)));
  const test::PairLosses plain = test::pair_losses(system, options, images.inputs, images.targets);
  const test::PairLosses fused = test::fused_pair_losses(system, options, images.inputs, images.targets);
  for (std::size_t i = 0; i < 4; ++i) {
    const SummedLoss a = in_order(plain)[i];
    const SummedLoss b = in_order(fused)[i];
    ASSERT_EQ(a.sum.defined(), b.sum.defined()) << i;
    if (a.sum.defined()) {
      EXPECT_NEAR(a.sum.item<double>(), b.sum.item<double>(), 100 * tolerance) << i;
      EXPECT_EQ(a.count.item<std::int64_t>(), b.count.item<std::int64_t>()) << i;
      EXPECT_GT(a.count.item<std::int64_t>(), 0) << i;
      EXPECT_EQ(a.sum.scalar_type(), b.sum.scalar_type());
    }
  }
  const auto expected = gradients(images, plain);
  const auto found = gradients(images, fused);
  for (std::size_t i = 0; i < 4; ++i) {
    if (expected[i].defined()) {
      EXPECT_LE(deviation(expected[i], found[i]), tolerance) << i;
      EXPECT_GT(expected[i].abs().max().item<double>(), 0.0) << i;
    }
  }
}

TEST(FusedLosses, EqualThePlainOnes) {
  for (const std::string_view system : kSystems) {
    for (const auto depth : kDepthLosses) {
      expect_equal(system, depth, at::kDouble, 1e-14);
      expect_equal(system, depth, at::kFloat, 1e-6);
    }
  }
}

TEST(FusedLosses, GradientsAreThoseOfFiniteDifferences) {
  for (const auto depth : kDepthLosses) {
    const FourImages images("align");  // xtasc's targets move with the direct predictions
    config::LossSection options;
    options.depth = depth;
    const auto value = [&] {
      const c10::NoGradGuard no_grad;
      return objective(test::fused_pair_losses("align", options, images.inputs, images.targets)).item<double>();
    };
    const auto found = gradients(images, test::fused_pair_losses("align", options, images.inputs, images.targets));
    constexpr double kStep = 1e-6;
    for (std::size_t i = 0; i < 4; ++i) {
      auto* data = images.leaves()[i].mutable_data_ptr<double>();
      const auto* gradient = found[i].const_data_ptr<double>();
      for (std::int64_t k = 0; k < found[i].numel(); k += 7) {
        const double before = data[k];
        data[k] = before + kStep;
        const double above = value();
        data[k] = before - kStep;
        const double below = value();
        data[k] = before;
        EXPECT_NEAR((above - below) / (2 * kStep), gradient[k], 1e-7) << config::name(depth) << ' ' << i << ' ' << k;
      }
    }
  }
}

TEST(FusedLosses, NothingLabelledNothingValidAndNoImage) {
  for (const std::int64_t num_images : {4, 0}) {
    FourImages images("xtasc");
    images.targets.labels_nhw.fill_(255);
    images.targets.depth_n1hw.fill_(0.0);
    const auto part = [&](const at::Tensor& x) { return x.narrow(0, 0, num_images); };
    const test::PairLosses losses =
        test::fused_pair_losses("xtasc", {},
                                {part(images.inputs.seg_nchw), part(images.inputs.depth_n1hw),
                                 part(images.inputs.seg_to_depth_n1hw), part(images.inputs.depth_to_seg_nchw)},
                                {part(images.targets.labels_nhw), part(images.targets.depth_n1hw)});
    for (const SummedLoss& loss : in_order(losses)) {
      EXPECT_EQ(loss.sum.item<double>(), 0.0);
      EXPECT_EQ(loss.count.item<std::int64_t>(), 0);
    }
    for (const at::Tensor& gradient : gradients(images, losses)) {
      EXPECT_EQ(gradient.abs().max().item<double>(), 0.0);
    }
  }
}

TEST(FusedLosses, TheSameBitsForAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  std::array<at::Tensor, 2> sums;
  for (const int count : {1, 3}) {
    at::set_num_threads(count);
    const FourImages images("xtasc", at::kFloat);
    sums[count == 1 ? 0 : 1] = objective(test::fused_pair_losses("xtasc", {}, images.inputs, images.targets)).detach();
  }
  at::set_num_threads(threads);
  EXPECT_EQ(sums[0].item<double>(), sums[1].item<double>());
}

TEST(FusedLosses, LeaveOtherLossesToThePlainForm) {
  const FourImages images("xtasc");
  config::LossSection soft, smoothed, ssim, kl;
  soft.soft_target = true;
  smoothed.label_smoothing = 0.1;
  ssim.transferred_depth = config::TransferredDepthLoss::ssim;
  kl.transferred_segmentation = config::TransferredSegmentationLoss::kl;
  for (const auto& options : {soft, smoothed, ssim, kl}) {
    EXPECT_FALSE(
        suits_fused(test::fused_terms_of("xtasc", options, images.inputs), test::predictions_of(images.inputs)));
    EXPECT_TRUE(suits_fused(test::fused_terms_of("align", options, images.inputs),
                            test::predictions_of(images.inputs)));  // which has no such targets
    EXPECT_THROW(std::ignore = test::fused_pair_losses("xtasc", options, images.inputs, images.targets), Error);
    const auto fused = test::pair_losses("xtasc", options, images.inputs, images.targets, LossForm::fused);
    const auto plain = test::pair_losses("xtasc", options, images.inputs, images.targets);
    EXPECT_EQ(fused.depth_to_seg.sum.item<double>(), plain.depth_to_seg.sum.item<double>());
  }
}

}  // namespace
}  // namespace xtasc::loss
