// Axes of a sweep file whose values are drawn.
#include "sweep/random_axes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sweep/needs_fixture.hpp"

namespace xtasc::sweep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Kind = Distribution::Kind;

Distribution rate() {
  return {.key = "train.learning_rate", .kind = Kind::log_uniform, .low = 1e-5, .high = 1e-3};
}

std::vector<std::string> values_of(const Axis& axis) {
  std::vector<std::string> values;
  std::ranges::transform(axis.values, std::back_inserter(values), &Setting::value);
  return values;
}

/// What a sweep file's ids hang on: a change here is another set of runs for the same file.
TEST(RandomAxes, DrawsAreTheSameEverywhere) {
  const Distribution lambda{.key = "loss.lambda_1", .kind = Kind::uniform, .low = 0.0, .high = 0.5};
  const Distribution weights{.key = "weighting.weights", .kind = Kind::simplex, .parts = 3};
  const auto group = drawn_values({rate(), lambda, weights}, 7, 3);
  ASSERT_TRUE(group);
  EXPECT_THAT(values_of(group->axes[0]), ElementsAre("2.639e-05", "2.715e-05", "0.0001515"));
  EXPECT_THAT(values_of(group->axes[1]), ElementsAre("0.2159", "0.2044", "0.03913"));
  EXPECT_THAT(values_of(group->axes[2]),
              ElementsAre("[1.23, 0.211, 1.559]", "[0.858, 1.724, 0.418]", "[0.224, 1.325, 1.451]"));
}

TEST(RandomAxes, MoreDrawsBeginWithTheSameOnesAndAnAxisMovesNoOther) {
  const auto few = drawn_values({rate()}, 3, 10);
  const Distribution encoder{.key = "model.encoder",
                             .kind = Kind::choice,
                             .choices = {{"model.encoder", "resnet18", ""}, {"model.encoder", "resnet34", ""}}};
  const auto many = drawn_values({encoder, rate()}, 3, 200);
  ASSERT_TRUE(few && many);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(few->axes[0].values[i].value, many->axes[1].values[i].value);
  }
  EXPECT_NE(values_of(few->axes[0]), values_of(drawn_values({rate()}, 4, 10)->axes[0])) << "another seed";
}

TEST(RandomAxes, ValuesAreWhereTheyShouldBe) {
  int below_middle = 0;
  std::set<std::string> seen;
  const auto group = drawn_values({rate()}, 1, 1000);
  ASSERT_TRUE(group);
  for (const std::string& text : values_of(group->axes[0])) {
    const double value = std::stod(text);
    EXPECT_GE(value, 1e-5);
    EXPECT_LE(value, 1e-3);
    below_middle += value < 1e-4 ? 1 : 0;
    seen.insert(text);
  }
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_NEAR(below_middle, 500, 80);  // five deviations of a fair coin
  // A bound that rounding to four digits would leave.
  const Distribution narrow{.key = "k", .kind = Kind::uniform, .low = 1.00001, .high = 1.00002};
  EXPECT_EQ(drawn_value(narrow, 1, 0).value, "1.00001");
}

TEST(RandomAxes, WeightsOnTheSimplexAddUpAndAreSpreadEvenly) {
  for (const std::int64_t parts : {2, 3, 5}) {
    const Distribution weights{.key = "weighting.weights", .kind = Kind::simplex, .parts = parts};
    double first = 0.0, square = 0.0;
    constexpr int kDraws = 4000;
    for (std::uint64_t draw = 0; draw < kDraws; ++draw) {
      const std::string text = drawn_value(weights, 1, draw).value;
      ASSERT_TRUE(text.starts_with('[') && text.ends_with(']')) << text;
      std::int64_t thousandths = 0;
      std::size_t count = 0;
      for (std::size_t at = 1; at < text.size();
           at = text.find(',', at) == std::string::npos ? text.size() : text.find(',', at) + 1) {
        const double value = std::stod(text.substr(at));
        EXPECT_GE(value, 0.001);
        thousandths += std::llround(1000.0 * value);
        first += count == 0 ? value : 0.0;
        square += count == 0 ? value * value : 0.0;
        ++count;
      }
      EXPECT_EQ(count, static_cast<std::size_t>(parts)) << text;
      EXPECT_EQ(thousandths, 1000 * parts) << text;
    }
    // Of Dirichlet(1, ..., 1) times T: mean 1, second moment 2 T / (T + 1).
    const double t = static_cast<double>(parts);
    EXPECT_NEAR(first / kDraws, 1.0, 0.07) << parts;
    EXPECT_NEAR(square / kDraws, 2.0 * t / (t + 1.0), 0.2) << parts;
  }
}

class RandomFile : public NeedsTest {};

TEST_F(RandomFile, ADrawIsOneMoreFactorOfTheProduct) {
  const Sweep sweep = read(
      "[grid]\nmodel.encoder = [\"resnet18\", \"resnet34\"]\n[random]\ncount = 2\nseed = 7\n"
      "train.learning_rate = { log_uniform = [1e-5, 1e-3] }\n[axis_names]\ntrain.learning_rate = \"rate\"\n");
  std::vector<std::string> rows;
  for (std::size_t i = 0; i < sweep.runs.size(); i += 2) {
    rows.push_back(sweep.runs[i].row);
    EXPECT_EQ(sweep.runs[i + 1].row, rows.back()) << "its other seed";
  }
  EXPECT_THAT(rows, ElementsAre("encoder = resnet18, rate = 2.639e-05", "encoder = resnet18, rate = 2.715e-05",
                                "encoder = resnet34, rate = 2.639e-05", "encoder = resnet34, rate = 2.715e-05"));
  EXPECT_EQ(sweep.runs[0].config.train.learning_rate, 2.639e-05);
  EXPECT_THAT(sweep.axes, ElementsAre("model.encoder", "train.learning_rate"));
  EXPECT_EQ(sweep.drawn, "2 draws by seed 7: train.learning_rate log_uniform in 1e-05 .. 0.001");
  // What a run's config prints reads back as the same value.
  const std::string printed = config::to_toml(sweep.runs[0].config, false);
  EXPECT_THAT(printed, HasSubstr("learning_rate = 2.639e-05\n"));
}

TEST_F(RandomFile, EveryFaultHasItsPlace) {
  EXPECT_THAT(faults("[random]\ncount = 4\ntrain.learning_rate = { log_uniform = [0, 1e-3] }\n"
                     "loss.lambda_1 = { uniform = [0.5, 0.1] }\nloss.lambda_2 = { uniform = [0.5, 2] }\n"
                     "train.batch_size = { uniform = [2, 8] }\nmodel.encoder = { choise = [\"resnet18\"] }\n"
                     "train.lr_gamma = 0.5\ntrain.epoch = { choice = [1] }\ntrain.betas = { simplex = 2 }\n"
                     "loss.lambda_3 = { simplex = 1 }\nloss.label_smoothing = { choice = [] }\n"),
              testing::UnorderedElementsAre(
                  "trial.toml:6:40: train.learning_rate: log_uniform needs bounds above 0, found 0",
                  "trial.toml:7:29: loss.lambda_1: uniform must be [LOW, HIGH], two numbers of which the first is "
                  "smaller, found [0.5, 0.1]",
                  "trial.toml:8:35: loss.lambda_2 must be a number >= 0 and <= 1, found the number 2",
                  "trial.toml:9:32: train.batch_size: uniform draws numbers with fractions, which this key does not "
                  "take: name its values, { choice = [...] }",
                  "trial.toml:10:19: model.encoder: there is no distribution \"choise\"; did you mean \"choice\"?",
                  "trial.toml:11:18: train.lr_gamma: needed is one of { uniform = [LOW, HIGH] }, { log_uniform = [LOW, "
                  "HIGH] }, { choice = [VALUES] }, { simplex = TASKS }",
                  "trial.toml:12:7: unknown key \"epoch\" in [train]; did you mean \"epochs\"?",
                  "trial.toml:13:27: train.betas must be a list of two numbers in [0, 1), or [] for the system's "
                  "default, found the list [1.0, 1.0]",
                  "trial.toml:14:29: loss.lambda_3: simplex must be the number of weights, an integer from 2 to 100",
                  "trial.toml:15:35: loss.label_smoothing: choice must be a list of values"));
  const std::string axis = "model.encoder = { choice = [\"resnet18\", \"resnet34\"] }\n";
  EXPECT_THAT(faults("[random]\ncount = 3\n" + axis),
              ElementsAre("trial.toml:5:9: count = 3, but the axes of [random] have fewer different values together"));
  EXPECT_THAT(faults("[random]\n" + axis),
              ElementsAre("trial.toml:4:1: [random] lacks count: how many rows are drawn"));
  EXPECT_THAT(faults("[random]\ncount = 20000\n" + axis), ElementsAre("trial.toml:5:9: count must be at most 10000"));
  EXPECT_THAT(faults("[random]\ncount = 2\n"),
              ElementsAre("trial.toml:4:1: [random] has no axis, e.g. train.learning_rate = { log_uniform = [1e-5, "
                          "1e-3] }"));
  EXPECT_THAT(faults("[random]\ncount = 2\n" + axis + "[grid]\nmodel.encoder = [\"resnet50\"]\n"),
              ElementsAre(HasSubstr("model.encoder is an axis already")));
  EXPECT_THAT(faults("[random]\ncount = 2\nrun.name = { choice = [\"a\", \"b\"] }\n"),
              ElementsAre(HasSubstr("run.name may not differ between the runs of a sweep")));
}

}  // namespace
}  // namespace xtasc::sweep
