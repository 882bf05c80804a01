#include "train/health.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "kernels/finite/finite_element.hpp"
#include "optim/finite.hpp"
#include "support/nets.hpp"
#include "support/tier.hpp"

namespace xtasc::train {
namespace {

using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::int64_t first_bad(const optim::FiniteCheck& check) {
  return check.state()[kernels::kFirstBad].item<std::int64_t>();
}

template <typename Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(FiniteCheck, FindsOneNumberAnywhereAndTheStepThatItWasIn) {
  for (const auto type : {at::kFloat, at::kDouble}) {
    for (const double bad : {std::nan(""), -std::nan(""), kInfinity, -kInfinity}) {
      for (const std::int64_t place : {std::int64_t{0}, std::int64_t{77'777}, std::int64_t{300'000}}) {
        const optim::FiniteCheck check(at::kCPU);
        at::Tensor values = at::randn({300'001}, type);
        values[5] = type == at::kFloat ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
        check.add(values);
        check.end_step();
        EXPECT_EQ(first_bad(check), -1);
        values[place] = bad;
        check.add(values);
        check.add(at::zeros({3}, type));  // of the same step, and well
        check.end_step();
        check.add(values);
        check.end_step();
        EXPECT_EQ(first_bad(check), 1) << bad << " at " << place;
      }
    }
  }
}

TEST(FiniteCheck, DoesNothingOnMeta) {
  const optim::FiniteCheck check(at::kMeta);
  check.add(at::zeros({4}, at::TensorOptions().device(at::kMeta)));
  check.end_step();
}

TEST(FiniteCheck, NamesTheTensorOnlyThen) {
  EXPECT_EQ(optim::first_not_finite({{"a", at::ones({3})}}), "");
  at::Tensor bad = at::ones({4});
  bad[1] = std::nan("");
  bad[3] = kInfinity;
  EXPECT_EQ(optim::first_not_finite({{"a", at::ones({3})}, {"b", bad}}), "b (2 of 4 values)");
}

TEST(Evaluation, EveryNumberIsLookedAt) {
  Evaluation evaluation{.losses = {{"total", 1.0}}, .report = {}, .consistency = {{"seg", 0.5}}};
  evaluation.report.paper = {{"miou", 0.5}};
  evaluation.report.dataset = {{"abs_err", 0.5}};
  EXPECT_EQ(first_not_finite(evaluation), "");
  evaluation.consistency["seg"] = kInfinity;
  EXPECT_EQ(first_not_finite(evaluation), "consistency energy seg is inf");
  evaluation.report.dataset["abs_err"] = kInfinity;
  EXPECT_EQ(first_not_finite(evaluation), "metric of the dataset protocol abs_err is inf");
  evaluation.losses["seg"] = kInfinity;
  EXPECT_THAT(message_of([&] { require_finite(evaluation, {.epoch = 3, .step = 40}); }),
              HasSubstr("diverged in epoch 3, after step 40: the validation loss seg is inf; the run stays"));
}

TEST(BatchNormHealth, TheSmallestBatchOfAnEpochNeedsTwoValues) {
  const auto refusal = [](std::int64_t images, std::int64_t batch, std::int64_t height, std::int64_t width,
                          std::int64_t max_steps = 0) {
    return message_of([&] { check_batch_norm({}, images, batch, max_steps, height, width); });
  };
  EXPECT_EQ(refusal(17, 16, 32, 32, 1), "accepted");  // the last batch never comes
  EXPECT_THAT(refusal(17, 16, 32, 32, 2), HasSubstr("the last batch of an epoch has 1 image"));
  EXPECT_EQ(refusal(4, 2, 32, 32), "accepted");
  EXPECT_EQ(refusal(3, 2, 32, 64), "accepted");
  EXPECT_EQ(refusal(1, 8, 64, 64), "accepted");
  EXPECT_THAT(refusal(3, 2, 32, 32), HasSubstr("the last batch of an epoch has 1 image (of 3, train.batch_size = 2)"));
  EXPECT_THAT(refusal(1, 8, 32, 32), HasSubstr("the only batch of an epoch has 1 image"));
  EXPECT_THAT(refusal(4, 1, 32, 32), HasSubstr("1 image"));
  // DeepLab's heads norm a mean over the map, which larger images do not make more of.
  const config::ModelSection deeplab = config::run_config_of({"model.system=deeplab"}).model;
  EXPECT_THAT(message_of([&] { check_batch_norm(deeplab, 3, 2, 0, 288, 384); }),
              testing::EndsWith("(288 x 384 pixels): another train.batch_size"));
  EXPECT_NO_THROW(check_batch_norm(deeplab, 4, 2, 0, 288, 384));
  EXPECT_THAT(message_of([&] { check_batch_norm(deeplab, 4, 2, 0, 288, 384, /*accumulate=*/2); }),
              HasSubstr("but a piece of a batch has 1 image (of 4, train.batch_size = 2, "
                        "train.accumulate = 2)"));
}

/// What diverged shows in the flags of the step itself: nothing else was looked at.
TEST(StepHealth, RemembersTheFirstStepThatWasNotFinite) {
  const std::vector<std::string> methods = {"uncertainty", "pcgrad", "equal", "gradnorm", "famo"};
  for (const std::string& method : std::span(methods).first(test::is_long_tier() ? methods.size() : 2)) {
    const config::RunConfig config = test::step_config({"run.precision=fp32", "weighting.method=" + method});
    Learner learner(config, 5, at::kCPU);
    const auto communicator = dist::make_solo_communicator();
    Step step(config, learner, *communicator);
    const data::Batch good = test::random_batch(1, 3, 5, 32, 64);
    data::Batch bad = test::random_batch(1, 3, 5, 32, 64);
    bad.targets.at("depth")[0][0][3][3] = kInfinity;
    for (const data::Batch* batch : std::initializer_list<const data::Batch*>{&good, &bad, &good}) {
      static_cast<void>(step.compute(*batch));
    }
    EXPECT_EQ(first_bad(step.losses_check()), 1) << method;
    EXPECT_EQ(step.losses_check().state()[kernels::kNumSteps].item<std::int64_t>(), 3) << method;
  }
}

}  // namespace
}  // namespace xtasc::train
