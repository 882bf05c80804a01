#include "train/captured_step.hpp"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "support/nets.hpp"
#include "support/tier.hpp"

namespace xtasc::train {
namespace {

/// A device that records by keeping the work, and replays by doing it.
class Double final : public Recorder {
 public:
  explicit Double(int& num_replays) : num_replays_(num_replays) {}
  void record(const std::function<void()>& work) override { work_ = work; }
  void replay() override {
    ++num_replays_;
    work_();
  }

 private:
  int& num_replays_;
  std::function<void()> work_;
};

class Refusing final : public Recorder {
 public:
  void record(const std::function<void()>& /*work*/) override { fail("this device records nothing"); }
  void replay() override { FAIL() << "nothing was recorded"; }
};

data::Batch batch_of(std::uint64_t seed, std::int64_t size, at::ScalarType type) {
  return test::rows(test::random_batch(seed, size, 7, 32, 32), {0, size}, type);
}

/// Of a world of one rank.
std::vector<std::string> gather_alone(const std::string& text) {
  return {text};
}

struct Trial {
  explicit Trial(const std::vector<std::string>& assignments, MakeRecorder make = {},
                 CapturedStep::Gather gather = gather_alone)
      : config(test::step_config(assignments)),
        communicator(dist::make_solo_communicator()),
        learner(config, 7, at::kCPU),
        plain(config, learner, *communicator),
        step(plain, std::move(make), std::move(gather)) {}

  /// Eight steps with a smaller batch now and then, and a learning rate that falls. \returns their losses
  std::vector<double> run() {
    std::vector<double> losses;
    for (std::uint64_t i = 0; i < 8; ++i) {
      const std::int64_t size = i % 3 == 2 ? 2 : 3;
      const StepResult result = step.run(batch_of(i, size, learner.types.storage), size,
                                         {0, static_cast<std::int64_t>(i)}, 1e-3 / static_cast<double>(i + 1));
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

TEST(CapturedStep, OneRecordingABatchSizeWithTheBitsOfPlainSteps) {
  const std::vector<std::string> config = {"model.system=base_mt", "weighting.method=uncertainty"};
  int num_replays = 0;
  Trial recorded(config, [&] { return std::make_unique<Double>(num_replays); });
  Trial plain(config);
  EXPECT_EQ(recorded.run(), plain.run());
  EXPECT_TRUE(at::equal(recorded.learner.net.parameters().flat_values(), plain.learner.net.parameters().flat_values()));
  EXPECT_EQ(recorded.step.num_recorded(), 1);  // the small batch came twice: not yet
  EXPECT_EQ(num_replays, 3);                   // of six, three were plain
}

TEST(CapturedStep, StaysPlainWhereNothingCanBeRecorded) {
  const std::vector<std::string> config = {"model.system=base_mt"};
  Trial refused(config, [] { return std::make_unique<Refusing>(); });
  Trial plain(config);
  EXPECT_EQ(refused.run(), plain.run());
  EXPECT_EQ(refused.step.num_recorded(), 0);
}

TEST(CapturedStep, StaysPlainWhereAnotherRankCannotRecord) {
  const std::vector<std::string> config = {"model.system=base_mt"};
  int num_replays = 0;
  int num_gathered = 0;
  Trial recorded(
      config, [&] { return std::make_unique<Double>(num_replays); },
      [&](const std::string& text) {
        ++num_gathered;
        return std::vector<std::string>{text, "out of memory"};
      });
  Trial plain(config);
  EXPECT_EQ(recorded.run(), plain.run());
  EXPECT_EQ(recorded.step.num_recorded(), 0);
  EXPECT_EQ(num_replays, 0);
  EXPECT_EQ(num_gathered, 1);
}

/// Fails in the middle of the step, as a device does that runs out of memory while it records.
class FailingLate final : public Recorder {
 public:
  void record(const std::function<void()>& work) override {
    work();
    fail("out of memory");
  }
  void replay() override { FAIL() << "nothing was recorded"; }
};

TEST(CapturedStep, AFailureLateInARecordingIsTold) {
  std::vector<std::string> told;
  Trial trial(
      {"model.system=base_mt"}, [] { return std::make_unique<FailingLate>(); },
      [&](const std::string& text) {
        told.push_back(text);
        return std::vector<std::string>{text};
      });
  trial.run();
  EXPECT_EQ(told, std::vector<std::string>{"out of memory"});
  EXPECT_EQ(trial.step.num_recorded(), 0);
}

TEST(CapturedStep, StaysPlainForMethodsThatDecideOnTheHost) {
  const std::vector<std::string> methods = {"rlw", "pcgrad", "dwa", "gradnorm", "famo"};
  for (const std::string& method : std::span(methods).first(test::is_long_tier() ? methods.size() : 2)) {
    Trial trial({"model.system=base_mt", "weighting.method=" + method}, []() -> std::unique_ptr<Recorder> {
      ADD_FAILURE() << "asked for a recorder";
      return nullptr;
    });
    trial.run();
  }
}

}  // namespace
}  // namespace xtasc::train
