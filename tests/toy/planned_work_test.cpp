#include <gtest/gtest.h>

#include <set>

#include "config/methods.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"
#include "launch/bench/launch_counter.hpp"
#include "net/work.hpp"
#include "support/learners.hpp"
#include "support/nets.hpp"
#include "support/systems.hpp"
#include "support/tier.hpp"
#include "toy/toy.hpp"

namespace xtasc::launch {
namespace {

/// The description of every network against the convolutions that its step runs; of a network with a cut, of one
/// without and of the toys (of all in the long tier) with each kind of method.
TEST(PlannedWork, IsWhatAStepRunsOfEverySystem) {
  test::add_toys();
  constexpr std::int64_t kClasses = 5;
  const data::Batch all = test::toy_batch(1, 2, kClasses, 32, 32);
  const auto communicator = dist::make_solo_communicator();
  for (const config::System& row : config::systems()) {
    const config::System& system = config::system_of(config::run_config_of(test::assignments_of(row)).model);
    std::set<config::Needs> seen;  // a method of each kind: what it costs hangs on that alone
    for (const config::Method& method : config::methods()) {
      const bool is_first = seen.insert(method.needs).second;
      const bool is_witness = method.needs == config::Needs::losses || row.word == "xtasc" || row.word == "mtan" ||
                              row.word.starts_with("toy") || test::is_long_tier();
      if (!is_first || !is_witness || (method.needs != config::Needs::losses && !system.has_weights())) {
        continue;
      }
      const auto config = test::step_config(test::assignments_of(
          row.word, {fmt::format("weighting.method={}", method.word), "run.precision=fp32", "train.rewrites=false"}));
      const auto learner = test::learner_for(config, kClasses, all, at::kCPU);
      train::Step step(config, *learner, *communicator);
      data::Batch batch = test::in_place(all, config, *learner);
      std::erase_if(batch.targets, [&](const auto& target) { return !system.has(target.first); });
      LaunchCounter counter;
      std::ignore = step.compute(batch, {});
      step.update(1e-3);
      const double ran = counter.total().flop;
      const double planned = 2.0 * 2 * net::work_of_image(config, 32, 32, kClasses).step;
      if (method.needs == config::Needs::norms || method.needs == config::Needs::own_magnitudes) {
        // One layer's gradient a task is left out, and the way back to it in a network without a cut.
        EXPECT_GE(ran, planned) << system.word << ", " << method.word;
        EXPECT_LE(ran, 1.35 * planned) << system.word << ", " << method.word;
      } else {
        EXPECT_DOUBLE_EQ(ran, planned) << system.word << ", " << method.word;
      }
    }
  }
}

}  // namespace
}  // namespace xtasc::launch
