#include "train/captured_step.hpp"

#include <gtest/gtest.h>

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "support/nets.hpp"
#include "support/tier.hpp"

namespace xtasc::train {
namespace {

/// A device that captures by keeping the work, and replays by doing it.
class Double final : public GraphCapture {
 public:
  explicit Double(int& num_replays) : num_replays_(num_replays) {}
  void capture(const std::function<void()>& work) override { work_ = work; }
  void replay() override {
    ++num_replays_;
    work_();
  }

 private:
  int& num_replays_;
  std::function<void()> work_;
};

class Refusing final : public GraphCapture {
 public:
  void capture(const std::function<void()>& /*work*/) override { fail("this device captures nothing"); }
  void replay() override { FAIL() << "nothing was captured"; }
};

data::Batch batch_of(std::uint64_t seed, std::int64_t size, at::ScalarType type) {
  return test::rows(test::random_batch(seed, size, 7, 32, 32), {0, size}, type);
}

/// Of a world of one rank.
std::vector<std::string> gather_alone(const std::string& text) {
  return {text};
}

struct Trial {
  explicit Trial(const std::vector<std::string>& assignments, MakeGraphCapture make = {},
                 CapturedStep::Gather gather = gather_alone)
      : config(test::step_config(assignments)),
        communicator(dist::make_solo_communicator()),
        learner(config, {7, 32, 32}, at::kCPU),
        plain(config, learner, *communicator),
        step(plain, std::move(make), std::move(gather)) {}

  /// Eight steps with a smaller batch now and then, and a learning rate that falls. \returns their losses
  std::vector<double> run() {
    std::vector<double> losses;
    for (std::uint64_t i = 0; i < 8; ++i) {
      const std::int64_t size = i % 3 == 2 ? 2 : 3;
      data::Batch batch = batch_of(i, size, learner.types.storage);
      const std::vector<std::int64_t> samples = {5, 3, static_cast<std::int64_t>(i)};
      give_place(batch, config, learner.net,
                 {.first = 0,
                  .samples = std::span(samples).first(static_cast<std::size_t>(size)),
                  .step = static_cast<std::int64_t>(i)});
      std::vector<data::Batch> pieces;
      for (const data::Range& piece : data::pieces_of({0, size}, config.train.accumulate)) {
        pieces.push_back(batch);
        if (config.train.accumulate > 1) {
          pieces.back() = test::rows(batch, piece, learner.types.storage);
        }
      }
      const StepResult result =
          step.run(pieces, size, {0, static_cast<std::int64_t>(i)}, 1e-3 / static_cast<double>(i + 1));
      losses.push_back(result.losses[-1].item<double>());
    }
    return losses;
  }

  config::RunConfig config;
  std::unique_ptr<dist::Communicator> communicator;
  Learner learner;
  Step plain;
  CapturedStep step;
};

class CapturedDropout : public testing::TestWithParam<const char*> {};

/// What a graph reads lies where it was captured: of dropout, too.
TEST_P(CapturedDropout, IsEachStepsOwn) {
  const std::vector<std::string> config = {std::string("model.system=") + GetParam(), "weighting.method=equal"};
  int num_replays = 0;
  Trial captured(config, [&] { return std::make_unique<Double>(num_replays); });
  Trial plain(config);
  EXPECT_EQ(captured.run(), plain.run());
  EXPECT_GT(num_replays, 0);
}

INSTANTIATE_TEST_SUITE_P(Networks, CapturedDropout, testing::Values("adamt", "deeplab"),
                         [](const auto& test) { return std::string(test.param); });

TEST(CapturedStep, OneCaptureABatchSizeWithTheBitsOfPlainSteps) {
  const std::vector<std::string> config = {"model.system=toy_st_scene", "weighting.method=uncertainty"};
  int num_replays = 0;
  Trial captured(config, [&] { return std::make_unique<Double>(num_replays); });
  Trial plain(config);
  EXPECT_EQ(captured.run(), plain.run());
  EXPECT_TRUE(at::equal(captured.learner.net.parameters().flat_values(), plain.learner.net.parameters().flat_values()));
  EXPECT_EQ(captured.step.num_captured(), 1);  // the small batch came twice: not yet
  EXPECT_EQ(num_replays, 3);                   // of six, three were plain
}

const std::map<std::string, std::vector<std::string>> kRecipes = {
    {"sgd", {"train.optimizer=sgd"}},
    {"adamw", {"train.optimizer=adamw"}},
    {"pieces", {"train.accumulate=2", "train.clip_norm=0.1"}}};

class CapturedRecipe : public testing::TestWithParam<const char*> {};

/// The optimizer's state, its rate and the pieces of a batch lie where they were captured.
TEST_P(CapturedRecipe, HasTheBitsOfPlainSteps) {
  std::vector<std::string> config = {"model.system=toy_st_scene", "weighting.method=uncertainty",
                                     "train.weight_decay=0.1"};
  const std::vector<std::string>& recipe = kRecipes.at(GetParam());
  config.insert(config.end(), recipe.begin(), recipe.end());
  int num_replays = 0;
  Trial captured(config, [&] { return std::make_unique<Double>(num_replays); });
  Trial plain(config);
  EXPECT_EQ(captured.run(), plain.run());
  EXPECT_TRUE(at::equal(captured.learner.net.parameters().flat_values(), plain.learner.net.parameters().flat_values()));
  EXPECT_EQ(num_replays, 3);
}

INSTANTIATE_TEST_SUITE_P(All, CapturedRecipe, testing::Values("sgd", "adamw", "pieces"),
                         [](const auto& test) { return std::string(test.param); });

TEST(CapturedStep, StaysPlainWhereNothingCanBeCaptured) {
  const std::vector<std::string> config = {"model.system=toy_st_scene"};
  Trial refused(config, [] { return std::make_unique<Refusing>(); });
  Trial plain(config);
  EXPECT_EQ(refused.run(), plain.run());
  EXPECT_EQ(refused.step.num_captured(), 0);
}

TEST(CapturedStep, StaysPlainWhereAnotherRankCannotCapture) {
  const std::vector<std::string> config = {"model.system=toy_st_scene"};
  int num_replays = 0;
  int num_gathered = 0;
  Trial captured(
      config, [&] { return std::make_unique<Double>(num_replays); },
      [&](const std::string& text) {
        ++num_gathered;
        return std::vector<std::string>{text, "out of memory"};
      });
  Trial plain(config);
  EXPECT_EQ(captured.run(), plain.run());
  EXPECT_EQ(captured.step.num_captured(), 0);
  EXPECT_EQ(num_replays, 0);
  EXPECT_EQ(num_gathered, 1);
}

/// Fails in the middle of the step, as a device does that runs out of memory while it captures.
class FailingLate final : public GraphCapture {
 public:
  void capture(const std::function<void()>& work) override {
    work();
    fail("out of memory");
  }
  void replay() override { FAIL() << "nothing was captured"; }
};

TEST(CapturedStep, AFailureLateInACaptureIsTold) {
  std::vector<std::string> told;
  Trial trial(
      {"model.system=toy_st_scene"}, [] { return std::make_unique<FailingLate>(); },
      [&](const std::string& text) {
        told.push_back(text);
        return std::vector<std::string>{text};
      });
  trial.run();
  EXPECT_EQ(told, std::vector<std::string>{"out of memory"});
  EXPECT_EQ(trial.step.num_captured(), 0);
}

TEST(CapturedStep, StaysPlainForMethodsThatDecideOnTheHost) {
  const std::vector<std::string> methods = {"rlw", "pcgrad", "dwa", "gradnorm", "famo"};
  for (const std::string& method : std::span(methods).first(test::is_long_tier() ? methods.size() : 2)) {
    Trial trial({"model.system=toy_st_scene", "weighting.method=" + method}, []() -> std::unique_ptr<GraphCapture> {
      ADD_FAILURE() << "asked for a capture";
      return nullptr;
    });
    trial.run();
  }
}

}  // namespace
}  // namespace xtasc::train
