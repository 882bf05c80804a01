#include "model/activation_checkpointing.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "support/nets.hpp"
#include "support/tier.hpp"
#include "train/step.hpp"

namespace xtasc {
namespace {

class CountingHook final : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit CountingHook(int& count) : count_(count) {}
  void operator()(const at::Tensor& /*leaf*/) override { ++count_; }

 private:
  int& count_;
};

/// y = (w x)^2, with the calls of both computations and the arrivals of w's gradient counted.
class Square : public testing::Test {
 protected:
  Square() { torch::autograd::impl::set_post_acc_grad_hooks(w_, std::make_unique<CountingHook>(num_arrivals_)); }

  at::Tensor operator()(const at::Tensor& x) {
    const auto square = [this](const at::Tensor& in) { return (in * w_).pow(2); };
    return model::recomputed_in_backward(
        x, {w_},
        [this, square](const at::Tensor& in) {
          ++num_computed_;
          return square(in);
        },
        [this, square](const at::Tensor& in) {
          ++num_computed_again_;
          return square(in);
        });
  }

  at::Tensor x_ = at::tensor({1.0, 2.0, -3.0}, at::kDouble).requires_grad_(true);
  at::Tensor w_ = at::tensor({0.5, -1.0, 2.0}, at::kDouble).requires_grad_(true);
  int num_computed_ = 0, num_computed_again_ = 0, num_arrivals_ = 0;
};

TEST_F(Square, GradientsArriveOnceAndAccumulate) {
  const at::Tensor y = (*this)(x_ * 1.0);
  EXPECT_EQ(num_computed_, 1);
  y.sum().backward();
  EXPECT_EQ(num_computed_again_, 1);
  EXPECT_EQ(num_arrivals_, 1);
  EXPECT_TRUE(at::equal(w_.grad(), 2.0 * w_.detach() * x_.detach().pow(2)));
  EXPECT_TRUE(at::equal(x_.grad(), 2.0 * x_.detach() * w_.detach().pow(2)));
}

TEST_F(Square, ARetainedGraphIsWalkedAgain) {
  const at::Tensor y = (*this)(x_ * 1.0).sum();
  y.backward({}, /*retain_graph=*/true);
  y.backward();
  EXPECT_EQ(num_computed_again_, 2);
  EXPECT_EQ(num_arrivals_, 2);
  EXPECT_TRUE(at::equal(w_.grad(), 4.0 * w_.detach() * x_.detach().pow(2)));
  EXPECT_ANY_THROW(y.backward()) << "the graph was freed";
}

TEST_F(Square, AnInputWithoutGradientIsLeftOut) {
  (*this)(x_.detach()).sum().backward();
  EXPECT_TRUE(at::equal(w_.grad(), 2.0 * w_.detach() * x_.detach().pow(2)));
  EXPECT_FALSE(x_.grad().defined());
}

TEST_F(Square, NothingIsKeptWithoutGradients) {
  const c10::NoGradGuard no_grad;
  EXPECT_FALSE((*this)(x_).requires_grad());
  EXPECT_EQ(num_computed_, 1);
}

TEST_F(Square, AParameterThatChangedMeanwhileIsRefused) {
  const at::Tensor y = (*this)(x_ * 1.0).sum();
  {
    const c10::NoGradGuard no_grad;
    w_.mul_(2.0);
  }
  EXPECT_ANY_THROW(y.backward());
}

// Whole steps.

class CheckpointedStep : public testing::TestWithParam<std::vector<std::string>> {
 protected:
  static config::RunConfig config(const char* checkpointing) {
    auto assignments = GetParam();
    assignments.push_back(std::string("train.activation_checkpointing=") + checkpointing);
    return test::step_config(assignments);
  }
};

TEST_P(CheckpointedStep, HasTheBitsOfOneThatKeepsAll) {
  const auto keeping_config = config("false");
  const auto checkpointed_config = config("true");
  const auto communicator = dist::make_solo_communicator();
  train::Learner keeping(keeping_config, 5, at::kCPU);
  train::Learner checkpointed(checkpointed_config, 5, at::kCPU);
  train::Step keeping_step(keeping_config, keeping, *communicator);
  train::Step checkpointed_step(checkpointed_config, checkpointed, *communicator);
  for (std::uint64_t i = 0; i < (test::is_long_tier() ? 2 : 1); ++i) {
    const data::Batch batch = test::rows(test::random_batch(i, 4, 5, 64, 96), {0, 4}, keeping.types.storage);
    const weighting::Moment moment = {.epoch = 2, .step = static_cast<std::int64_t>(i)};
    const at::Tensor expected = keeping_step.compute(batch, moment).losses;
    EXPECT_TRUE(at::equal(checkpointed_step.compute(batch, moment).losses, expected)) << "step " << i;
    EXPECT_TRUE(at::equal(checkpointed.net.parameters().flat_gradients(), keeping.net.parameters().flat_gradients()))
        << "step " << i;
    keeping_step.update(1e-3);
    checkpointed_step.update(1e-3);
  }
  const auto expected = keeping.weights();
  const auto found = checkpointed.weights();
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_TRUE(at::equal(found[i].second, expected[i].second)) << found[i].first;
  }
}

TEST_P(CheckpointedStep, NeverLooksAtAValue) {
  const auto checkpointed_config = config("true");
  const auto communicator = dist::make_solo_communicator();
  train::Learner learner(checkpointed_config, 5, at::kMeta);
  train::Step step(checkpointed_config, learner, *communicator);
  const data::Batch batch = test::random_batch(1, 4, 5, 64, 96);
  const auto result = step.compute(test::on_meta(batch), {.epoch = 2});
  step.update(1e-4);
  EXPECT_TRUE(result.losses.is_meta());
}

std::vector<std::vector<std::string>> checkpointed_cases() {
  using Case = std::vector<std::string>;
  std::vector<Case> cases = {{"run.precision=fp64"},
                             {"run.precision=fp32"},
                             {"run.precision=bf16", "model.decoder_width=32", "model.ttnet_widths=[32, 32, 64]"},
                             {"model.ttnet_batch_norm=true", "run.precision=bf16"},
                             {"model.system=align", "weighting.method=uncertainty", "run.precision=fp32"},
                             {"train.rewrites=false", "run.precision=fp32"},
                             {"weighting.method=pcgrad", "model.ttnet_batch_norm=true", "run.precision=fp32"}};
  if (!test::is_long_tier()) {
    return cases;
  }
  for (const char* method : {"gradnorm", "mgda", "famo"}) {
    cases.push_back({std::string("weighting.method=") + method, "model.ttnet_batch_norm=true", "run.precision=fp32"});
  }
  cases.push_back({"weighting.method=imtl", "weighting.parameters=all", "run.precision=fp32"});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Forms, CheckpointedStep, testing::ValuesIn(checkpointed_cases()));

}  // namespace
}  // namespace xtasc
