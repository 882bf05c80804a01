#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "dist/communicator.hpp"
#include "mpi/world.hpp"
#include "support/methods.hpp"
#include "support/nets.hpp"
#include "support/tier.hpp"
#include "toy/toy.hpp"
#include "train/evaluate.hpp"
#include "train/step.hpp"

namespace xtasc {
namespace {

using test::world;

/// The paper's network with three tasks, trained by all ranks together and by each alone (tests/peer/compare_toy.py
/// does the same for the network without an encoder cut).
TEST(ThreeTasks, OnRanksEqualOne) {
  test::add_toys();
  const auto shared_comm = dist::make_communicator(*world, at::kCPU);
  const auto solo = dist::make_solo_communicator();
  const std::vector<std::string_view> two = {"cagrad", "equal"};
  for (const std::string_view method : test::is_long_tier() ? test::method_words() : two) {
    const auto config = test::step_config({"model.system=xtasc_of_three", "model.decoder_width=8",
                                           "model.ttnet_widths=[4,4,4]", fmt::format("weighting.method={}", method)});
    const auto learner_of = [&] {
      auto learner = std::make_unique<train::Learner>(config, 5, at::kCPU);
      learner->weighting->end_epoch(0, at::tensor({3.0, 2.5, 2.8}, at::kDouble));
      learner->weighting->end_epoch(1, at::tensor({2.0, 2.4, 1.9}, at::kDouble));
      return learner;
    };
    const auto shared = learner_of();
    const auto alone = learner_of();
    train::Step shared_step(config, *shared, *shared_comm);
    train::Step alone_step(config, *alone, *solo);
    const data::Batch whole = test::toy_batch(1, 4, 5, 32, 32);
    const data::Range mine = data::share_of({0, 4}, world->rank(), world->size());
    for (std::int64_t i = 0; i < 2; ++i) {
      const weighting::Moment moment = {.epoch = 2, .step = i};
      const at::Tensor together = shared_step.compute(test::rows(whole, mine, at::kDouble), moment).losses;
      const at::Tensor expected = alone_step.compute(test::rows(whole, {0, 4}, at::kDouble), moment).losses;
      shared_step.update(1e-4);
      alone_step.update(1e-4);
      EXPECT_LT(((together - expected).norm() / expected.norm()).item<double>(), 1e-8) << method << ", step " << i;
    }
  }
}

/// Batches dealt out to the ranks in turn, as evaluate() does it, and all of them by each rank alone.
TEST(ThreeTasks, AreMeasuredByAllRanksAsByOne) {
  test::add_toys();
  const c10::InferenceMode inference;
  const auto shared_comm = dist::make_communicator(*world, at::kCPU);
  const auto solo = dist::make_solo_communicator();
  const auto config = test::step_config({"model.system=toy", "model.decoder_width=8", "model.ttnet_widths=[4,4,4]"});
  const train::Learner learner(config, 5, at::kCPU);
  train::EvaluationSums shared(config, learner);
  train::EvaluationSums alone(config, learner);
  for (int b = 0; b < 3; ++b) {
    const data::Batch batch =
        test::rows(test::toy_batch(static_cast<std::uint64_t>(b), 2 + b, 5, 32, 32), {0, 2 + b}, at::kDouble);
    alone.add(batch);
    if (b % world->size() == world->rank()) {
      shared.add(batch);
    }
  }
  shared.sum_over_ranks(*shared_comm);
  alone.sum_over_ranks(*solo);
  const train::Evaluation found = shared.result();
  const train::Evaluation expected = alone.result();
  for (const auto& [a, b] : {std::pair{&found.losses, &expected.losses},
                             {&found.report.paper, &expected.report.paper},
                             {&found.report.dataset, &expected.report.dataset},
                             {&found.consistency, &expected.consistency}}) {
    ASSERT_EQ(a->size(), b->size());
    for (const auto& [name, value] : *b) {
      EXPECT_NEAR(a->at(name), value, 1e-12 * std::max(1.0, std::abs(value))) << name;
    }
  }
  EXPECT_EQ(found.report.class_iou, expected.report.class_iou);
  EXPECT_TRUE(found.report.paper.contains("flow_err") && found.report.dataset.contains("flow_rmse"));
}

}  // namespace
}  // namespace xtasc
