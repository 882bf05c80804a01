// What a step asks of a CUDA device, counted on the CPU in CUDA's forms.
#include "launch/bench/launch_counter.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "kernels/upsample/upsample.hpp"
#include "launch/bench/executed_work.hpp"
#include "model/batch_norm.hpp"
#include "support/nets.hpp"
#include "train/step.hpp"

namespace xtasc::launch {
namespace {

std::int64_t launches_of(const std::function<void()>& work) {
  LaunchCounter counter;
  const CudaForms cuda_forms(&counter);
  work();
  return counter.total().launches;
}

TEST(LaunchCounter, CountsKernelsAndNoViews) {
  const at::Tensor x = at::rand({4, 6});
  EXPECT_EQ(launches_of([&] { std::ignore = x.t().narrow(0, 1, 2).view({2, 4, 1}).expand({2, 4, 3}).detach(); }), 0);
  EXPECT_EQ(launches_of([&] { std::ignore = at::empty_like(x); }), 0);
  EXPECT_EQ(launches_of([&] { std::ignore = x.to(at::kFloat).contiguous(); }), 0);
  EXPECT_EQ(launches_of([&] { std::ignore = x.to(at::kDouble); }), 1);
  EXPECT_EQ(launches_of([&] { std::ignore = x.t().contiguous(); }), 1);
  EXPECT_EQ(launches_of([&] { std::ignore = at::zeros({3}); }), 1);
  EXPECT_EQ(launches_of([&] { std::ignore = (2.0 * x + x).relu_(); }), 3);
  EXPECT_EQ(launches_of([&] { x.add_(1); }), 1) << "the number is an argument of CUDA's kernel";
  EXPECT_EQ(launches_of([&] { std::ignore = at::cat({x, x}); }), 1);
}

TEST(LaunchCounter, AConvolutionIsOneKernelADirectionAndOneForItsBias) {
  const at::Tensor x = at::rand({2, 3, 8, 10}).requires_grad_();
  const at::Tensor weight = at::rand({5, 3, 3, 3}).requires_grad_();
  const at::Tensor bias = at::rand({5}).requires_grad_();
  LaunchCounter counter;
  const at::Tensor y = at::conv2d(x, weight, bias, /*stride=*/2, /*padding=*/1);
  const double flop = 2.0 * 2 * 4 * 5 * 3 * 5 * 9;
  EXPECT_EQ(counter.total().launches, 2);
  EXPECT_EQ(counter.total().flop, flop);
  counter.enter(train::Phase::backward);
  y.backward(at::ones_like(y));
  const auto by_cause = counter.by_cause();
  EXPECT_EQ(by_cause.at("convolution").launches, 3);
  EXPECT_EQ(by_cause.at("convolution").flop, 3 * flop);
  EXPECT_EQ(by_cause.at("bias").launches, 2);
  for (const auto& [shape, tally] : counter.convolutions()) {
    EXPECT_EQ(shape.height, 4) << shape.direction;
    EXPECT_EQ(shape.width, 5) << shape.direction;
    EXPECT_EQ(tally.bytes, 4 * (2 * 3 * 80 + 5 * 27 + 2 * 5 * 20)) << shape.direction;
  }
}

TEST(LaunchCounter, OwnKernelsAreOneLaunchWhateverTheCpuDoesInTheirPlace) {
  LaunchCounter counter;
  const CudaForms cuda_forms(&counter);
  const at::Tensor x = at::rand({4}), weight = at::rand({5, 3, 3, 3}), image = at::rand({1, 3, 4, 4});
  const LaunchTally before = counter.total();
  {
    const CauseMark cause("a cause");
    const KernelMark mark("another: kernel", 7);
    const KernelMark inside("inside: kernel", 9);
    std::ignore = x * x + x;
    std::ignore = at::conv2d(image, weight);
  }
  EXPECT_EQ(counter.total().launches - before.launches, 1);
  EXPECT_EQ(counter.by_cause().at("another").bytes, 7);
  EXPECT_EQ(counter.total().large_launches, 0);
  { const KernelMark mark("another: kernel", kLargeBytes); }
  EXPECT_EQ(counter.total().large_launches, 1);
  EXPECT_EQ(counter.by_cause().at("another").large_bytes, kLargeBytes);
  EXPECT_EQ(counter.total().flop, 2.0 * 4 * 27 * 5) << "its arithmetic counts all the same";
  {
    const CauseMark cause("a cause");
    std::ignore = x * x + x;
  }
  EXPECT_EQ(counter.by_cause().at("a cause").launches, 2);
}

TEST(CudaForms, AreTakenWhileTheyAreWantedOnly) {
  const at::Tensor x = at::rand({1, 2, 4, 4});
  EXPECT_FALSE(takes_cuda_form(x));
  LaunchCounter counter;
  {
    const CudaForms cuda_forms(&counter);
    EXPECT_TRUE(takes_cuda_form(x));
    EXPECT_FALSE(takes_cuda_form(x.to(at::kMeta)));
    EXPECT_THROW(CudaForms(), Error);
    std::ignore = kernels::upsample_twice(x);
  }
  EXPECT_FALSE(takes_cuda_form(x));
  std::ignore = kernels::upsample_twice(x);
  EXPECT_EQ(counter.tallies().at({"upsample", "forward"}).launches, 1);
}

struct Stepped {
  at::Tensor losses, gradients;
};

Stepped step_of(const config::RunConfig& config, LaunchCounter* counter) {
  const auto communicator = dist::make_solo_communicator();
  train::Learner learner(config, 5, at::kCPU);
  train::Step step(config, learner, *communicator);
  if (counter != nullptr) {
    step.observe([counter](train::Phase phase) { counter->enter(phase); });
  }
  const data::Batch batch = test::rows(test::random_batch(3, 2, 5, 32, 64), {0, 2}, learner.types.storage);
  const train::StepResult result = step.compute(batch);
  return {result.losses, learner.net.parameters().flat_gradients().clone()};
}

/// The forms of both devices are equal in real arithmetic, and each convolution that was counted is one of the net's.
TEST(CudaForms, AStepIsTheCpusStep) {
  const auto config = test::step_config({"model.ttnet_batch_norm=true"});
  const Stepped plain = step_of(config, nullptr);
  LaunchCounter counter;
  const CudaForms cuda_forms(&counter);
  const Stepped found = step_of(config, &counter);
  EXPECT_LT((found.losses - plain.losses).abs().max().item<double>(), 1e-12);
  EXPECT_LT((found.gradients - plain.gradients).abs().max().item<double>(), 1e-10);
  const ExecutedWork work = executed_work(config, {.images = 2, .height = 32, .width = 64, .num_classes = 5}, at::kCPU,
                                          at::kDouble, at::kDouble);
  EXPECT_EQ(work.winograd + work.at_low_size, 0);
  EXPECT_DOUBLE_EQ(counter.total().flop, 2.0 * work.total());
  EXPECT_EQ(counter.by_cause().at("convolution").launches, 3 * work.plain - 1);
  EXPECT_EQ(counter.tallies().at({"loss", "gradients"}).launches, 1);
}

}  // namespace
}  // namespace xtasc::launch
