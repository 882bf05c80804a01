// Learning rates over a run, batches in pieces, and what each optimizer leaves in a checkpoint. That steps are
// PyTorch's is held by tests/peer/compare_recipes.py.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "optim/gradient_math.hpp"
#include "support/learners.hpp"
#include "support/nets.hpp"
#include "train/accumulation.hpp"
#include "train/schedule.hpp"
#include "train/step.hpp"
#include "train/transfers.hpp"

namespace xtasc::train {
namespace {

using testing::HasSubstr;

std::string refusal_of(const std::vector<std::string>& assignments) {
  try {
    std::ignore = test::step_config(assignments);
    return "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
}

TEST(Schedule, HasTheRateOfEachStep) {
  const auto rate = [](const std::vector<std::string>& assignments, std::int64_t epoch, std::int64_t step) {
    std::vector<std::string> all = {"train.learning_rate=0.5", "train.epochs=10"};
    all.insert(all.end(), assignments.begin(), assignments.end());
    return learning_rate(test::step_config(all).train, {.epoch = epoch, .step = step, .num_steps = 40});
  };
  EXPECT_EQ(rate({"train.lr_step=3", "train.lr_gamma=0.1"}, 2, 11), 0.5);
  EXPECT_EQ(rate({"train.lr_step=3", "train.lr_gamma=0.1"}, 7, 31), 0.5 * std::pow(0.1, 2.0));
  EXPECT_EQ(rate({"train.schedule=constant"}, 9, 39), 0.5);
  EXPECT_EQ(rate({"train.schedule=cosine"}, 0, 0), 0.5);
  EXPECT_DOUBLE_EQ(rate({"train.schedule=cosine"}, 5, 20), 0.25);
  EXPECT_DOUBLE_EQ(rate({"train.schedule=cosine"}, 9, 39), 0.25 * (1.0 + std::cos(std::acos(-1.0) * 39 / 40)));
  EXPECT_DOUBLE_EQ(rate({"train.schedule=poly"}, 2, 10), 0.5 * std::pow(0.75, 0.9));
  EXPECT_NEAR(rate({"train.schedule=poly", "train.poly_power=2"}, 9, 39), 0.5 / 1600, 1e-15);
  // Of a warm-up the first step has a part, the last all.
  EXPECT_DOUBLE_EQ(rate({"train.schedule=constant", "train.warmup_steps=8"}, 0, 0), 0.0625);
  EXPECT_EQ(rate({"train.schedule=cosine", "train.warmup_steps=8"}, 1, 7), 0.5);
  EXPECT_EQ(rate({"train.schedule=cosine", "train.warmup_steps=8"}, 2, 8), 0.5);
  EXPECT_DOUBLE_EQ(rate({"train.schedule=cosine", "train.warmup_steps=8"}, 6, 24), 0.25);
  EXPECT_DOUBLE_EQ(rate({"train.lr_step=1", "train.warmup_steps=8"}, 1, 4), 0.5 * 0.5 * 5 / 8);
  // A warm-up that is longer than the run.
  EXPECT_DOUBLE_EQ(rate({"train.schedule=poly", "train.warmup_steps=80"}, 9, 39), 0.25);
}

TEST(Schedule, EndsWithTheRun) {
  const auto num_steps = [](const std::vector<std::string>& assignments) {
    std::vector<std::string> all = {"train.epochs=3", "train.batch_size=4"};
    all.insert(all.end(), assignments.begin(), assignments.end());
    return num_steps_of(test::step_config(all).train, 10);
  };
  EXPECT_EQ(num_steps({}), 9);
  EXPECT_EQ(num_steps({"train.max_steps=5"}), 5);
  EXPECT_EQ(num_steps({"train.max_steps=50"}), 9);
  const auto impatient = test::step_config({"train.patience=2"}).train;
  EXPECT_FALSE(is_out_of_patience(impatient, 4, 3));
  EXPECT_TRUE(is_out_of_patience(impatient, 5, 3));
  EXPECT_FALSE(is_out_of_patience(test::step_config({}).train, 500, 1));
}

TEST(Schedule, AWarmUpIsNoLongerThanTheRun) {
  const auto check_ten_images = [](const std::string& warmup) {
    check_warmup(test::step_config({"train.epochs=3", "train.batch_size=4", "train.warmup_steps=" + warmup}).train, 10);
  };
  EXPECT_NO_THROW(check_ten_images("9"));
  try {
    check_ten_images("10");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_THAT(error.what(), testing::HasSubstr("train.warmup_steps = 10 are more than the run's 9 steps"));
  }
}

/// What decides a term's count is the truth alone: asked before any forward pass, each system says what its losses then
/// say, pieces add up to the batch, and images without labels count as they do in the step.
TEST(Pieces, CountsAreKnownBeforeTheForwardPass) {
  const std::string three = "model.tasks=[\"segmentation\",\"depth\",\"normals\"]";
  const std::vector<std::vector<std::string>> cases = {
      {"model.system=xtasc"},
      {"model.system=xtasc", "loss.transferred_depth=ssim", "loss.transferred_segmentation=kl"},
      {"model.system=xtasc", "loss.soft_target=true", "loss.label_smoothing=0.1", three},
      {"model.system=align", three},
      {"model.system=xtasc", "model.transfer=sample", three},
      {"model.system=kd4mtl"},
      {"model.system=base_st_depth"}};
  for (const auto& assignments : cases) {
    const auto config = test::step_config(assignments);
    data::Batch batch = test::rows(test::random_batch(3, 4, 7, 64, 64), {0, 4}, at::kDouble);
    batch.targets["depth.has"] = at::tensor({1, 1, 0, 0}, at::kByte);
    batch.targets.at("depth").narrow(0, 2, 2).zero_();
    const auto learner = test::learner_for(config, 7, batch, at::kCPU);
    model::Mode mode{.training = true, .compute = at::kDouble, .wants_features = learner->teachers != nullptr};
    mode.transfers = transfers_of_step(config, learner->net.transfers(), 5);
    loss::Targets targets = targets_of(batch, learner->objective->tasks(), at::kDouble);
    if (learner->teachers) {
      learner->teachers->teach(batch.image_n3hw, mode, targets);
    }
    const at::Tensor summed =
        sums_and_counts(learner->objective->losses(learner->net.forward(batch.image_n3hw, mode), targets));
    const std::int64_t num_terms = summed.size(0) / 2;
    const at::Tensor expected = summed.narrow(0, num_terms, num_terms);
    EXPECT_TRUE(at::equal(counts_of(*learner->objective, learner->net, batch, mode), expected)) << assignments.front();
    EXPECT_GT(expected.sum().item<double>(), 0.0);
    at::Tensor added = at::zeros_like(expected);
    for (const data::Range& piece : data::pieces_of({0, 4}, 3)) {
      added += counts_of(*learner->objective, learner->net, test::rows(batch, piece, at::kDouble), mode);
    }
    EXPECT_TRUE(at::equal(added, expected)) << assignments.front();
  }
}

TEST(Pieces, AreRefusedWhereWeightsFollowFromTheBatch) {
  for (const char* method : {"equal", "uncertainty", "dwa", "rlw", "imtl_l"}) {
    EXPECT_EQ(refusal_of({"train.accumulate=2", std::string("weighting.method=") + method}), "accepted") << method;
  }
  for (const char* method : {"pcgrad", "gradnorm", "famo", "alsw", "imtl"}) {
    EXPECT_EQ(refusal_of({std::string("weighting.method=") + method}), "accepted") << method;
    EXPECT_THAT(refusal_of({"train.accumulate=2", std::string("weighting.method=") + method}),
                HasSubstr(fmt::format("weighting.method = \"{}\" weighs by what the whole batch's losses or gradients "
                                      "are: set train.accumulate to 1, or take one of equal, uncertainty, dwa, rlw, "
                                      "imtl_l",
                                      method)));
  }
  EXPECT_THAT(refusal_of({"train.accumulate=2", "weighting.method=pcgrad", "weighting.losses=uncertainty"}),
              HasSubstr("train.accumulate = 2"));
}

/// What a method does to the gradient comes first, and the norm is over the net's own gradient.
TEST(ClipNorm, ShortensWhatTheMethodLeft) {
  const data::Batch batch = test::rows(test::random_batch(1, 2, 5, 32, 32), {0, 2}, at::kDouble);
  const auto norm_of = [&](const std::vector<std::string>& assignments) {
    const auto config = test::step_config(assignments);
    const auto communicator = dist::make_solo_communicator();
    Learner learner(config, 5, at::kCPU);
    Step step(config, learner, *communicator);
    static_cast<void>(step.compute(batch));
    return learner.net.parameters().flat_gradients().norm().item<double>();
  };
  const double free = norm_of({});
  ASSERT_GT(free, 0.5);
  EXPECT_EQ(norm_of({"train.clip_norm=1e6"}), free);
  EXPECT_NEAR(norm_of({"train.clip_norm=0.5"}), 0.5 * free / (free + 1e-6), 1e-12);
  const std::vector<std::string> famo = {"weighting.method=famo", "weighting.max_norm=0.5", "train.clip_norm=0.25"};
  EXPECT_NEAR(norm_of(famo), 0.25 * 0.5 / (0.5 + 1e-6), 1e-12);
}

TEST(ClipNorm, OfNothingIsNothing) {
  const at::Tensor zeros = at::zeros({5}, at::kDouble);
  optim::clip_norm(zeros, 1.0, 1e-6);
  EXPECT_TRUE(at::equal(zeros, at::zeros({5}, at::kDouble)));
}

}  // namespace
}  // namespace xtasc::train
