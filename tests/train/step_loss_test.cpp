// A whole step with each of the losses: no host wait, no NaN from a batch without truth, the same bits twice.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/nets.hpp"
#include "train/step.hpp"

namespace xtasc::train {
namespace {

struct Case {
  const char* name;
  std::vector<std::string> assignments;
};

class LossOptions : public testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] static config::RunConfig config_with(const char* precision) {
    std::vector<std::string> assignments = GetParam().assignments;
    assignments.push_back(std::string("run.precision=") + precision);
    return test::step_config(assignments);
  }
};

/// As MetaStep in step_test.cpp: what looks at a value throws.
TEST_P(LossOptions, StepNeverLooksAtAValue) {
  const auto config = config_with("fp32");
  const auto communicator = dist::make_solo_communicator();
  Learner learner(config, 7, at::kMeta);
  Step step(config, learner, *communicator);
  const data::Batch batch = test::random_batch(1, 4, 7, 32, 64);
  const StepResult result = step.compute(test::on_meta(batch));
  step.update(1e-4);
  EXPECT_TRUE(result.losses.is_meta());
}

TEST_P(LossOptions, BatchWithoutTruthMovesNothing) {
  const auto config = config_with("fp64");
  const auto communicator = dist::make_solo_communicator();
  Learner learner(config, 5, at::kCPU);
  Step step(config, learner, *communicator);
  data::Batch batch = test::rows(test::random_batch(3, 2, 5, 32, 64), {0, 2}, at::kDouble);
  batch.targets.at("seg").fill_(255);
  batch.targets.at("depth").fill_(0.0);
  const at::Tensor before = learner.net.parameters().flat_values().clone();
  const StepResult result = step.compute(batch);
  step.update(1e-4);
  EXPECT_TRUE(at::equal(result.losses, at::zeros_like(result.losses))) << result.losses;
  EXPECT_TRUE(at::equal(learner.net.parameters().flat_values(), before));
}

TEST_P(LossOptions, SameBitsTwice) {
  const auto config = config_with("fp32");
  ASSERT_TRUE(config.train.deterministic);
  const data::Batch batch = test::random_batch(3, 3, 5, 32, 64);
  const auto weights = [&] {
    const auto communicator = dist::make_solo_communicator();
    Learner learner(config, 5, at::kCPU);
    Step step(config, learner, *communicator);
    for (int i = 0; i < 2; ++i) {
      static_cast<void>(step.compute(batch));
      step.update(1e-3);
    }
    return learner.net.parameters().flat_values().clone();
  };
  EXPECT_TRUE(at::equal(weights(), weights()));
}

INSTANTIATE_TEST_SUITE_P(
    All, LossOptions,
    testing::Values(Case{"mse_ssim_kl",
                         {"loss.depth=MSE", "loss.transferred_depth=ssim", "loss.transferred_segmentation=kl"}},
                    Case{"logl1_cross_soft", {"loss.depth=logL1", "loss.soft_target=true"}},
                    Case{"smoothl1_cross_smooth", {"loss.depth=smoothL1", "loss.label_smoothing=0.1"}},
                    Case{"kl_soft_smooth_ttnet_batch_norm",
                         {"loss.transferred_segmentation=kl", "loss.soft_target=true", "loss.label_smoothing=0.1",
                          "model.ttnet_batch_norm=true"}},
                    Case{"align_mse", {"model.system=align", "loss.depth=MSE"}}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace xtasc::train
