#include "train/step.hpp"
#include "support/systems.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/learners.hpp"
#include "support/nets.hpp"
#include "train/evaluate.hpp"

namespace xtasc::train {
namespace {

struct Case {
  const char* system;
  const char* weighting;
  const char* precision;
};

class MetaStep : public testing::TestWithParam<Case> {};

/// The meta device has no memory: whatever looks at a value, copies to the host or waits for one throws. So a step that
/// passes here has no hidden host synchronisation on a GPU either.
TEST_P(MetaStep, NeverLooksAtAValue) {
  const auto [system, weighting, precision] = GetParam();
  const auto config = test::step_config(test::assignments_of(
      system, {std::string("weighting.method=") + weighting, std::string("run.precision=") + precision}));
  const auto communicator = dist::make_solo_communicator();
  const data::Batch batch = test::on_meta(test::random_batch(1, 4, 7, 64, 64));
  const auto owned = test::learner_for(config, 7, batch, at::kMeta);
  Learner& learner = *owned;
  Step step(config, learner, *communicator);
  // In the third epoch every method is at work.
  const StepResult result = step.compute(test::in_place(batch, config, learner), {.epoch = 2, .step = 20});
  step.update(1e-4);
  learner.weighting->end_epoch(2, task_losses(result.losses, *learner.objective));
  EXPECT_TRUE(result.losses.is_meta());
  EXPECT_EQ(result.losses.sizes(), at::IntArrayRef({static_cast<std::int64_t>(learner.objective->terms().size()) + 1}));
}

/// Every row of both tables, in bf16 and fp32 by turns.
std::vector<Case> meta_cases() {
  std::vector<Case> cases = {{"align", "uncertainty", "fp32"}, {"base_mt", "cagrad", "fp32"}};
  const auto precision = [&cases] { return cases.size() % 2 == 0 ? "fp32" : "bf16"; };
  for (const config::System& system : config::systems()) {
    cases.push_back({system.word.data(), "equal", precision()});
  }
  for (const config::Method& method : config::methods()) {
    if (method.word != "equal") {
      cases.push_back({"xtasc", method.word.data(), precision()});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, MetaStep, testing::ValuesIn(meta_cases()), [](const auto& test) {
  return std::string(test.param.system) + "_" + test.param.weighting + "_" + test.param.precision;
});

class MetaRecipe : public testing::TestWithParam<const char*> {};

TEST_P(MetaRecipe, NeverLooksAtAValue) {
  const auto config = test::step_config({"model.system=kd4mtl", "weighting.method=uncertainty", "run.precision=fp32",
                                         "train.weight_decay=0.1", "train.clip_norm=0.1", GetParam()});
  const auto communicator = dist::make_solo_communicator();
  const data::Batch batch = test::on_meta(test::random_batch(1, 4, 7, 64, 64));
  const auto learner = test::learner_for(config, 7, batch, at::kMeta);
  Step step(config, *learner, *communicator);
  const std::vector<data::Batch> pieces(static_cast<std::size_t>(config.train.accumulate),
                                        test::in_place(batch, config, *learner));
  EXPECT_TRUE(step.compute(pieces).losses.is_meta());
  step.update(1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, MetaRecipe,
                         testing::Values("train.optimizer=adamw", "train.optimizer=sgd", "train.accumulate=3"),
                         [](const auto& test) {
                           const std::string word = test.param;
                           return word.substr(word.find('=') + 1) == "3" ? "pieces" : word.substr(word.find('=') + 1);
                         });

class MetaEvaluation : public testing::TestWithParam<Case> {};

TEST_P(MetaEvaluation, NeverLooksAtAValueBeforeItsEnd) {
  const auto config = test::step_config({std::string("model.system=") + GetParam().system, "weighting.method=equal",
                                         std::string("run.precision=") + GetParam().precision});
  Learner learner(config, {7, 64, 64}, at::kMeta);
  const c10::InferenceMode inference;
  EvaluationSums sums(config, learner);
  sums.add(test::on_meta(test::random_batch(1, 4, 7, 64, 64)));
  sums.sum_over_ranks(*dist::make_solo_communicator());
  EXPECT_ANY_THROW(static_cast<void>(sums.result()));
}

INSTANTIATE_TEST_SUITE_P(All, MetaEvaluation,
                         testing::Values(Case{"xtasc", "equal", "fp32"}, Case{"xtasc", "equal", "bf16"},
                                         Case{"base_mt", "equal", "bf16"}, Case{"base_st_seg", "equal", "fp32"},
                                         Case{"kd4mtl", "equal", "bf16"}, Case{"adamt", "equal", "fp32"},
                                         Case{"deeplab", "equal", "bf16"}, Case{"base_st_depth", "equal", "fp32"}),
                         [](const auto& test) { return std::string(test.param.system) + "_" + test.param.precision; });

TEST(MetaDevice, DoesCatchAHiddenCopy) {
  EXPECT_ANY_THROW(static_cast<void>(at::zeros({}, at::kMeta).item<double>()));
}

TEST(Step, LossFallsOnOneBatch) {
  const auto config = test::step_config({"run.precision=fp32", "train.learning_rate=1e-3"});
  const auto communicator = dist::make_solo_communicator();
  Learner learner(config, 5, at::kCPU);
  Step step(config, learner, *communicator);
  const data::Batch batch = test::random_batch(1, 3, 5, 64, 64);
  double first = 0.0;
  double last = 0.0;
  for (int i = 0; i < 12; ++i) {
    last = step.compute(batch).losses[-1].item<double>();
    first = i == 0 ? last : first;
    step.update(1e-3);
  }
  EXPECT_LT(last, 0.8 * first);
}

TEST(Step, TotalIsEquation11) {
  const auto config = test::step_config({});
  const auto communicator = dist::make_solo_communicator();
  Learner learner(config, 5, at::kCPU);
  Step step(config, learner, *communicator);
  const data::Batch batch = test::random_batch(3, 3, 5, 64, 64);
  const at::Tensor l = step.compute(test::rows(batch, {0, 3}, at::kDouble)).losses;
  const double expected =
      0.9 * l[0].item<double>() + 0.1 * l[2].item<double>() + 0.8 * l[1].item<double>() + 0.2 * l[3].item<double>();
  EXPECT_NEAR(l[-1].item<double>(), expected, 1e-12);
}

TEST(Step, BatchWithoutLabelOrDepthGivesNoNan) {
  const auto config = test::step_config({"weighting.method=uncertainty"});
  const auto communicator = dist::make_solo_communicator();
  Learner learner(config, 5, at::kCPU);
  Step step(config, learner, *communicator);
  data::Batch batch = test::rows(test::random_batch(3, 2, 5, 64, 64), {0, 2}, at::kDouble);
  batch.targets.at("seg").fill_(255);
  batch.targets.at("depth").fill_(0.0);
  const StepResult result = step.compute(batch);
  step.update(1e-4);
  EXPECT_EQ(result.losses.sum().item<double>(), 0.0);
  EXPECT_TRUE(at::isfinite(learner.net.parameters().flat_values()).all().item<bool>());
}

TEST(Step, Bf16FollowsFp32) {
  const data::Batch batch = test::random_batch(3, 3, 5, 64, 64);
  const auto total = [&](const char* precision) {
    const auto config = test::step_config({std::string("run.precision=") + precision});
    const auto communicator = dist::make_solo_communicator();
    Learner learner(config, 5, at::kCPU);
    Step step(config, learner, *communicator);
    double value = 0.0;
    for (int i = 0; i < 5; ++i) {
      value = step.compute(batch).losses[-1].item<double>();
      step.update(1e-4);
    }
    return value;
  };
  const double exact = total("fp32");
  const double fast = total("bf16");
  EXPECT_NE(exact, fast) << "bf16 did not compute in bf16";
  EXPECT_NEAR(fast / exact, 1.0, 0.02);
}

TEST(Step, SameBitsTwice) {
  const data::Batch batch = test::random_batch(3, 3, 5, 64, 64);
  const auto weights = [&] {
    const auto config = test::step_config({"run.precision=bf16", "weighting.method=uncertainty"});
    const auto communicator = dist::make_solo_communicator();
    Learner learner(config, 5, at::kCPU);
    Step step(config, learner, *communicator);
    for (int i = 0; i < 3; ++i) {
      static_cast<void>(step.compute(batch));
      step.update(1e-3);
    }
    return learner.net.parameters().flat_values().clone();
  };
  EXPECT_TRUE(at::equal(weights(), weights()));
}

}  // namespace
}  // namespace xtasc::train
