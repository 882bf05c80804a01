#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "data/sampler.hpp"
#include "pack/pack_fixture.hpp"
#include "pack/reader.hpp"
#include "preprocess/datasets/nyuv2.hpp"
#include "preprocess/datasets/scenes_dataset.hpp"
#include "preprocess/pack_builder.hpp"
#include "support/nets.hpp"
#include "support/tier.hpp"
#include "train/step.hpp"

namespace xtasc::train {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSteps = 50;
constexpr std::int64_t kBatch = 4;

/// The total losses of kSteps training steps on a pack, in the order of epoch 0 and on.
std::vector<double> losses_of_training(const fs::path& path, const std::string& precision) {
  const pack::Reader reader(path);
  const data::Dataset train(reader, pack::Split::train, 0, at::kCPU);
  const config::RunConfig config = config::run_config_of(
      {"model.encoder=resnet18", "model.decoder_width=32", "model.ttnet_widths=[16, 32, 64]", "loss.lambda_1=0.01",
       "loss.lambda_2=0.01", "weighting.method=uncertainty", "run.precision=" + precision});
  Learner learner(config, reader.schema().num_classes(), at::kCPU);
  const auto communicator = dist::make_solo_communicator();
  Step step(config, learner, *communicator);
  std::vector<double> losses;
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < kSteps; ++i) {
    if (static_cast<std::int64_t>(order.size()) < kBatch) {
      const auto more = data::epoch_order(1, i, train.size());
      order.insert(order.end(), more.begin(), more.end());
    }
    const std::vector<std::int64_t> samples(order.end() - kBatch, order.end());
    order.resize(order.size() - kBatch);
    losses.push_back(step.compute(train.batch(samples), {.epoch = 0, .step = i}).losses[-1].item<double>());
    step.update(config.train.learning_rate);
  }
  return losses;
}

/// bf16 promises 2 % of fp32's loss at every one of the steps.
void expect_bf16_near_fp32(const fs::path& pack) {
  const std::vector<double> exact = losses_of_training(pack, "fp32");
  const std::vector<double> fast = losses_of_training(pack, "bf16");
  double worst = 0.0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    ASSERT_TRUE(std::isfinite(exact[i]) && std::isfinite(fast[i])) << "step " << i;
    worst = std::max(worst, std::abs(fast[i] / exact[i] - 1.0));
    EXPECT_LT(std::abs(fast[i] / exact[i] - 1.0), 0.02) << "step " << i << ": " << fast[i] << " against " << exact[i];
  }
  EXPECT_LT(exact.back(), 0.9 * exact.front());  // it learns: the two are not merely both stuck
  std::printf("worst deviation of %zu steps: %.2e; loss %.3f -> %.3f\n", exact.size(), worst, exact.front(),
              exact.back());
}

TEST(Precision, Bf16StaysNearFp32OnScenes) {
  const test::TempFolder folder;
  preprocess::build_pack(preprocess::ScenesDataset(48, 4, 1, {32, 64}),
                         {.output = folder / "scenes.h5", .resize = {{32, 64}}, .workers = 2});
  expect_bf16_near_fp32(folder / "scenes.h5");
}

TEST(Precision, Bf16StaysNearFp32OnRealNyuv2) {
  const fs::path root = fs::path(XTASC_SOURCE_DIR) / ".." / "shared" / "data" / "nyuv2_mat_sample";
  if (!fs::exists(root)) {
    GTEST_SKIP() << "no real NYUv2 data at ../shared/data";
  }
  if (!test::is_long_tier()) {
    GTEST_SKIP() << "long tier";
  }
  const test::TempFolder folder;
  preprocess::build_pack(preprocess::Nyuv2Dataset(root),
                         {.output = folder / "nyuv2.h5", .resize = {{64, 96}}, .workers = 2});
  expect_bf16_near_fp32(folder / "nyuv2.h5");
}

}  // namespace
}  // namespace xtasc::train
