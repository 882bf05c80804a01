#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "support/learners.hpp"
#include "support/nets.hpp"

namespace xtasc::train {
namespace {

class OwnMagnitudes : public testing::TestWithParam<const char*> {};

/// ALSW beside what it says, computed from one more forward pass: of nets with a cut, and of one without.
TEST_P(OwnMagnitudes, WeighTheTasks) {
  const auto config = test::step_config({std::string("model.system=") + GetParam(), "weighting.method=alsw"});
  const data::Batch given = test::rows(test::random_batch(1, 3, 5, 32, 32), {0, 3}, at::kDouble);
  const auto learner = test::learner_for(config, 5, given, at::kCPU);
  const data::Batch batch = test::in_place(given, config, *learner);
  const auto communicator = dist::make_solo_communicator();
  Step step(config, *learner, *communicator);
  const StepResult found = step.compute(batch);
  const at::Tensor gradient = learner->net.parameters().flat_gradients().clone();

  learner->net.parameters().flat_gradients().zero_();
  const model::Mode mode = {.training = true,
                            .compute = at::kDouble,
                            .moves_running_statistics = false,
                            .rewrites = false,
                            .draws_nk = batch.draws_nk,
                            .wants_features = learner->teachers != nullptr};
  loss::Targets targets = targets_of(batch, learner->net.tasks(), at::kDouble);
  if (learner->teachers) {
    learner->teachers->teach(batch.image_n3hw, mode, targets);
  }
  const auto terms = learner->objective->losses(learner->net.forward(batch.image_n3hw, mode), targets);
  std::vector<at::Tensor> losses(2);
  at::Tensor rest = at::zeros({}, at::kDouble);  // what no method weighs
  for (std::size_t k = 0; k < terms.size(); ++k) {
    const loss::Term& term = learner->objective->terms()[k];
    const at::Tensor part = term.share * terms[k].sum / terms[k].count;
    at::Tensor& sum = term.is_weighed ? losses[term.counts_to] : rest;
    sum = sum.defined() ? sum + part : part;
  }
  std::vector<at::Tensor> magnitudes;
  for (std::size_t task = 0; task < 2; ++task) {
    magnitudes.push_back(
        torch::autograd::grad({losses[task]}, {learner->net.first_own_layer(task)}, {}, true).front().abs().mean());
  }
  const at::Tensor weights = at::stack(magnitudes) / (magnitudes[0] + magnitudes[1]);
  const at::Tensor total = weights[0] * losses[0] + weights[1] * losses[1] + rest;
  total.backward();
  EXPECT_TRUE(at::allclose(found.task_weights, weights, 1e-9, 0.0)) << found.task_weights << weights;
  const at::Tensor& expected = learner->net.parameters().flat_gradients();
  EXPECT_LT((gradient - expected).norm().item<double>(), 1e-9 * expected.norm().item<double>());
  EXPECT_NEAR(found.losses[-1].item<double>(), total.item<double>(), 1e-9);
}

INSTANTIATE_TEST_SUITE_P(Networks, OwnMagnitudes, testing::Values("xtasc", "segnet", "kd4mtl", "adamt", "deeplab"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace xtasc::train
