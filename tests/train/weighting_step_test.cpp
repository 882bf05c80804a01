#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "config/methods.hpp"
#include "support/methods.hpp"
#include "support/nets.hpp"
#include "support/tier.hpp"
#include "train/checkpoint.hpp"
#include "train/step.hpp"

// Weighting methods inside a training step of the whole net.
namespace xtasc::train {
namespace {

namespace fs = std::filesystem;

config::RunConfig method_config(const std::string& method, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"model.decoder_width=8", "model.ttnet_widths=[4,4,4]", "weighting.method=" + method});
  return test::step_config(more);
}

data::Batch batch_of(std::uint64_t seed, at::ScalarType type) {
  return test::rows(test::random_batch(seed, 3, 5, 32, 32), {0, 3}, type);
}

double length(const at::Tensor& t) {
  return t.norm().item<double>();
}

double deviation(const at::Tensor& found, const at::Tensor& expected) {
  return length(found - expected) / length(expected);
}

/// One net in fp64 under changing methods. Adam is of no use here: only compute() is called.
class TaskGradientsTest : public testing::Test {
 protected:
  at::Tensor gradient_by(const config::RunConfig& config) {
    learner_.weighting = weighting::make_task_weighting({.section = config.weighting, .tensors = at::kDouble});
    return gradient_now(config);
  }

  at::Tensor gradient_now(const config::RunConfig& config) {
    Step step(config, learner_, *communicator_);
    result_ = step.compute(batch_of(1, at::kDouble), moment_);
    return learner_.net.parameters().flat_gradients().clone();
  }

  /// The gradient of one task's loss, by a plain backward pass: `uncertainty` with a weight of 1 and one of 0.
  at::Tensor gradient_of(std::int64_t task) {
    const auto config = method_config("uncertainty");
    learner_.weighting = weighting::make_task_weighting({.section = config.weighting, .tensors = at::kDouble});
    const at::Tensor s = learner_.weighting->weights().front().second;
    s.fill_(1000.0);
    s[task].fill_(-std::log(2.0));
    return gradient_now(config);
  }

  config::RunConfig config_ = method_config("equal");
  std::unique_ptr<dist::Communicator> communicator_ = dist::make_solo_communicator();
  Learner learner_{config_, 5, at::kCPU};
  std::int64_t num_shared_ = learner_.net.parameters().num_parameters("encoder.");
  weighting::Moment moment_;
  StepResult result_;
};

TEST_F(TaskGradientsTest, AreCombinedAsTheMethodSays) {
  const at::Tensor g1 = gradient_of(0);
  const at::Tensor g2 = gradient_of(1);
  const auto shared = [&](const at::Tensor& g) { return g.narrow(0, 0, num_shared_); };
  const auto own = [&](const at::Tensor& g) { return g.narrow(0, num_shared_, g.numel() - num_shared_); };
  EXPECT_EQ((own(g1) * own(g2)).abs().max().item<double>(), 0.0) << "a parameter beyond the encoder is shared";

  const auto projected = [](const at::Tensor& g, const at::Tensor& other) {
    const double conflict = std::min(0.0, g.dot(other).item<double>());
    return g - other * (conflict / other.dot(other).item<double>());
  };
  const auto pcgrad = [&](const at::Tensor& a, const at::Tensor& b) { return projected(a, b) + projected(b, a); };
  const auto mgda = [](const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor along = b - a;
    const double x = std::clamp(b.dot(along).item<double>() / along.dot(along).item<double>(), 0.0, 1.0);
    return x * a + (1.0 - x) * b;
  };
  const auto imtl = [](const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor u = a / length(a) - b / length(b);
    const double x = a.dot(u).item<double>() / (a - b).dot(u).item<double>();
    return (1.0 - x) * a + x * b;
  };
  const auto check = [&](const std::string& method, const auto& rule) {
    const at::Tensor found = gradient_by(method_config(method));
    EXPECT_LT(deviation(shared(found), rule(shared(g1), shared(g2))), 1e-9) << method;
    EXPECT_LT(deviation(own(found), own(g1) + own(g2)), 1e-9) << method;
    const at::Tensor of_all = gradient_by(method_config(method, {"weighting.parameters=all"}));
    EXPECT_LT(deviation(of_all, rule(g1, g2)), 1e-9) << method << " over all parameters";
    const at::Tensor a = result_.task_weights;
    EXPECT_LT(deviation(of_all, a[0] * g1 + a[1] * g2), 1e-9) << method;
  };
  check("pcgrad", pcgrad);
  check("mgda", mgda);
  check("imtl_g", imtl);
  check("imtl", imtl);  // exp(s) is 1 before the first step

  const at::Tensor of_equal = gradient_by(method_config("equal"));
  EXPECT_LT(deviation(of_equal, g1 + g2), 1e-9);
  EXPECT_LT(deviation(gradient_by(method_config("cagrad", {"weighting.c=0.0"})), of_equal), 1e-9);
  // The constraint of CAGrad: at most c |g_0| away from the mean gradient, and right there where it is active.
  const at::Tensor found = gradient_by(method_config("cagrad", {"weighting.rescale=0", "weighting.c=0.3"}));
  EXPECT_NEAR(length(shared(found) - shared(of_equal)) / length(shared(of_equal)), 0.3, 1e-9);
  EXPECT_LT(deviation(own(found), own(of_equal)), 1e-9);
}

TEST_F(TaskGradientsTest, HeadsGetTheirGradientOrTheTasksFactorOfIt) {
  const at::Tensor g1 = gradient_of(0);
  const at::Tensor g2 = gradient_of(1);
  const auto own = [&](const at::Tensor& g) { return g.narrow(0, num_shared_, g.numel() - num_shared_); };
  const auto shared = [&](const at::Tensor& g) { return g.narrow(0, 0, num_shared_); };
  for (const char* method : {"mgda", "nash"}) {
    std::vector<std::string> more = {"weighting.heads=plain"};
    if (config::method_of(method).uses("max_norm")) {
      more.emplace_back("weighting.max_norm=0");
    }
    const at::Tensor plain = gradient_by(method_config(method, more));
    more.front() = "weighting.heads=weighted";
    const at::Tensor weighted = gradient_by(method_config(method, more));
    const at::Tensor a = result_.task_weights;
    EXPECT_LT(deviation(shared(weighted), shared(plain)), 1e-12) << method;
    EXPECT_LT(deviation(own(plain), own(g1) + own(g2)), 1e-9) << method;
    EXPECT_LT(deviation(own(weighted), a[0] * own(g1) + a[1] * own(g2)), 1e-9) << method;
  }
  // A method's max_norm shortens what it combines, and leaves the heads what they got.
  const at::Tensor nash = gradient_by(method_config("nash"));
  EXPECT_NEAR(length(shared(nash)), 1.0, 1e-12);
  const at::Tensor longer = gradient_by(method_config("nash", {"weighting.max_norm=0"}));
  EXPECT_NEAR(length(shared(longer)), std::sqrt(2.0), 1e-9);
  EXPECT_LT(deviation(own(nash), own(longer)), 1e-12);
  EXPECT_NEAR(length(gradient_by(method_config("nash", {"weighting.parameters=all"}))), 1.0, 1e-12);
}

TEST_F(TaskGradientsTest, ScaleIsThatOfASumOrOfAMean) {
  const auto shared = [&](const at::Tensor& g) { return g.narrow(0, 0, num_shared_); };
  for (const char* method : {"equal", "dwa", "rlw", "uw_so", "stch", "pcgrad", "mgda", "aligned"}) {
    const at::Tensor sum = gradient_by(method_config(method, {"weighting.scale=sum"}));
    const at::Tensor factors = result_.task_weights;
    const double total = result_.losses[-1].item<double>();
    const at::Tensor mean = gradient_by(method_config(method, {"weighting.scale=mean"}));
    EXPECT_LT(deviation(shared(mean), 0.5 * shared(sum)), 1e-12) << method;
    EXPECT_LT(deviation(result_.task_weights, 0.5 * factors), 1e-12) << method;
    const bool weighs_losses = !config::combines_gradients(config::method_of(method).needs);
    EXPECT_NEAR(result_.losses[-1].item<double>(), weighs_losses ? 0.5 * total : total, 1e-12) << method;
  }
  EXPECT_EQ(method_config("rlw").weighting.scale, config::FactorScale::mean);
  EXPECT_EQ(method_config("pcgrad").weighting.scale, config::FactorScale::sum);
}

TEST_F(TaskGradientsTest, ImtlCombinesTheScaledLosses) {
  const at::Tensor g1 = gradient_of(0);
  const at::Tensor g2 = gradient_of(1);
  const auto config = method_config("imtl");
  learner_.weighting = weighting::make_task_weighting({.section = config.weighting, .tensors = at::kDouble});
  const double seg = 1.7;
  const double depth = 0.4;
  learner_.weighting->state().front().second.copy_(at::tensor({std::log(seg), std::log(depth)}, at::kDouble));
  const at::Tensor found = gradient_now(config);
  const double n1 = seg * length(g1.narrow(0, 0, num_shared_));
  const double n2 = depth * length(g2.narrow(0, 0, num_shared_));
  const at::Tensor expected = g1 * seg + g2 * depth;
  expected.narrow(0, 0, num_shared_)
      .copy_((g1 * (seg * n2 / (n1 + n2)) + g2 * (depth * n1 / (n1 + n2))).narrow(0, 0, num_shared_));
  EXPECT_LT(deviation(found, expected), 1e-9);
}

TEST_F(TaskGradientsTest, GradNormsStepIsTheWeightedSumAndItsNormsAreOfW) {
  const auto config = method_config("gradnorm", {"weighting.alpha=0"});
  const at::Tensor g1 = gradient_of(0);
  const at::Tensor g2 = gradient_of(1);
  std::int64_t offset = 0;
  std::array<double, 2> norms{};
  for (const auto& [name, tensor] : learner_.net.parameters().parameters()) {
    if (name == "encoder.layer4.1.conv2.weight") {
      norms = {length(g1.narrow(0, offset, tensor.numel())), length(g2.narrow(0, offset, tensor.numel()))};
    }
    offset += tensor.numel();
  }
  moment_ = {.epoch = 1, .step = 5};
  learner_.weighting = weighting::make_task_weighting({.section = config.weighting, .tensors = at::kDouble});
  const auto state = [&](const std::string& wanted) {
    for (const auto& [name, tensor] : learner_.weighting->state()) {
      if (name == wanted) {
        return tensor;
      }
    }
    return at::Tensor();
  };
  state("weighting.weights").copy_(at::tensor({1.6, 0.4}, at::kDouble));
  EXPECT_LT(deviation(gradient_now(config), 1.6 * g1 + 0.4 * g2), 1e-9);
  learner_.weighting->update(1e-3, {});
  // With alpha 0 the target is the mean norm: the gradient of the larger term is +n_t, of the smaller one -n_t.
  const double sign = 1.6 * norms[0] > 0.4 * norms[1] ? 1.0 : -1.0;
  const at::Tensor gradient = 10.0 * state("adam.weighting.first_moment");
  EXPECT_NEAR(gradient[0].item<double>() / (sign * norms[0]), 1.0, 1e-9);
  EXPECT_NEAR(gradient[1].item<double>() / (-sign * norms[1]), 1.0, 1e-9);
}

TEST(FamoStep, LooksAtTheSameBatchAgainWithoutLeavingATrace) {
  const auto config = method_config("famo", {"weighting.max_norm=0.5"});
  const auto communicator = dist::make_solo_communicator();
  Learner learner(config, 5, at::kCPU);
  Step step(config, learner, *communicator);
  const data::Batch batch = batch_of(1, at::kDouble);
  const at::Tensor before = step.compute(batch).losses;
  EXPECT_NEAR(length(learner.net.parameters().flat_gradients()), 0.5, 1e-12);
  const at::Tensor running = learner.net.parameters().buffers().front().tensor.clone();
  step.update(1e-3);
  EXPECT_TRUE(at::equal(running, learner.net.parameters().buffers().front().tensor));
  const at::Tensor gradient = 10.0 * learner.weighting->state().front().second.clone();
  EXPECT_EQ(learner.weighting->state().front().first, "adam.weighting.first_moment");

  // The next step on the same batch finds what the second look found.
  const at::Tensor after = step.compute(batch).losses;
  const at::Tensor gains = (task_losses(before, *learner.objective) / task_losses(after, *learner.objective)).log();
  const double expected = 0.25 * (gains[0] - gains[1]).item<double>();  // z_t = 1/2
  EXPECT_NEAR(gradient[0].item<double>() / expected, 1.0, 1e-5);
  EXPECT_NEAR(gradient[1].item<double>() / -expected, 1.0, 1e-5);
}

class Resume : public testing::TestWithParam<std::string_view> {};

/// Saved in the third epoch, where every method has state, and gone on with in another learner: the bits of a run that
/// was never stopped. In bf16, so that every method has run in it too.
TEST_P(Resume, BitForBit) {
  const auto config = method_config(std::string(GetParam()), {"run.precision=bf16"});
  const auto communicator = dist::make_solo_communicator();
  const auto take_step = [&](Learner& learner, const weighting::Moment& moment) {
    Step step(config, learner, *communicator);
    StepResult result = step.compute(batch_of(static_cast<std::uint64_t>(moment.step), at::kFloat), moment);
    step.update(1e-3);
    return result;
  };
  const fs::path folder = fs::path(testing::TempDir()) / ("resume_" + std::string(GetParam()));
  const Checkpoint checkpoint(folder / "last");
  Learner unbroken(config, 5, at::kCPU);
  unbroken.weighting->end_epoch(0, at::tensor({3.0, 2.5}, at::kDouble));
  unbroken.weighting->end_epoch(1, at::tensor({2.0, 2.4}, at::kDouble));
  take_step(unbroken, {.epoch = 2, .step = 2});
  Progress progress = no_progress(*unbroken.objective);
  progress.epoch = 2;
  progress.step_in_epoch = 1;
  progress.step = 3;
  checkpoint.save(tensors_of(unbroken), progress, {"config", "digest"});
  const StepResult expected = take_step(unbroken, {.epoch = 2, .step = 3});

  Learner resumed(config, 5, at::kCPU);
  ASSERT_TRUE(checkpoint.load(resumed, {"config", "digest"}));
  const StepResult found = take_step(resumed, {.epoch = 2, .step = 3});
  fs::remove_all(folder);
  EXPECT_TRUE(at::equal(found.losses, expected.losses));
  EXPECT_TRUE(at::equal(found.task_weights, expected.task_weights));
  const auto check = [](const auto& a, const auto& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(at::equal(a[i].second, b[i].second)) << a[i].first;
      EXPECT_TRUE(at::isfinite(a[i].second).all().template item<bool>()) << a[i].first;
    }
  };
  check(resumed.weights(), unbroken.weights());
  check(resumed.state(), unbroken.state());
}

/// Of every method the toy shows it in the default tier (tests/toy/toy_test.cpp).
INSTANTIATE_TEST_SUITE_P(Methods, Resume,
                         testing::ValuesIn(test::is_long_tier() ? test::method_words() : test::witness_methods()),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace xtasc::train
