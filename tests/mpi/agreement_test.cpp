#include "train/agreement.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/error.hpp"
#include "dist/communicator.hpp"
#include "mpi/world.hpp"
#include "support/nets.hpp"
#include "train/health.hpp"

namespace xtasc::train {
namespace {

using test::world;

bool is_last() {
  return world->rank() == world->size() - 1;
}

/// The same on every rank, or the test's own peers would wait for each other.
template <typename Call>
std::string message_of(const Call& call) {
  std::string message = "accepted";
  try {
    call();
  } catch (const Error& error) {
    message = error.what();
  }
  for (const std::string& other : world->gather(message)) {
    EXPECT_EQ(other, message);
  }
  return message;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Agreement, OfRanksThatRunTheSameThing) {
  const config::RunConfig config = config::run_config_of({"train.epochs=3"});
  EXPECT_EQ(message_of([&] { check_same_run(*world, config); }), "accepted");
  // What may differ between hosts.
  config::RunConfig local = config;
  local.run.threads = world->rank() + 1;
  local.data.pack = fmt::format("/scratch/{}/pack.h5", world->rank());
  EXPECT_EQ(message_of([&] { check_same_run(*world, local); }), "accepted");
}

/// Whether a file is read at all must be the same: the ranks talk about it.
TEST(Agreement, OnWhetherThereAreWeights) {
  config::RunConfig config = config::run_config_of({});
  config.model.encoder_weights = is_last() ? "w.pt" : "";
  const std::string message = message_of([&] { check_same_run(*world, config); });
  EXPECT_TRUE(world->size() == 1 || contains(message, "model.encoder_weights is set on rank")) << message;
}

TEST(Agreement, NamesTheRanksTheirHostsAndTheDifference) {
  if (world->size() == 1) {
    GTEST_SKIP() << "one rank agrees with itself";
  }
  config::RunConfig config = config::run_config_of({});
  if (is_last()) {
    config.train.learning_rate = 0.1;
    config.train.epochs = 7;
  }
  const std::string host = dist::host_name();
  EXPECT_EQ(
      message_of([&] { check_same_run(*world, config); }),
      fmt::format("the ranks do not run the same thing: train.epochs is 7 on rank {} ({}), and 250 on rank 0 "
                  "({}); 1 more thing differs: every rank must be started with the same command line and read the "
                  "same config file",
                  world->size() - 1, host, host));
  const std::vector<Claim> claims = {{"the pack's content digest", is_last() ? "b" : "a"}};
  EXPECT_TRUE(contains(message_of([&] { check_agreement(*world, claims, "mend it"); }),
                       fmt::format("the pack's content digest is b on rank {} ({}), and a on rank 0 ({}): mend it",
                                   world->size() - 1, host, host)));
  // One says more than another, as a program of another version may.
  std::vector<Claim> more = {{"torch", "2.11.0"}};
  if (is_last()) {
    more.push_back({"a library", "1.0"});
  }
  EXPECT_TRUE(contains(message_of([&] { check_agreement(*world, more, "mend it"); }), "a library is 1.0 on rank"));
}

/// One rank's image is not finite: every rank learns which rank, and in which step.
TEST(Health, NamesTheRankOfABadImage) {
  const config::RunConfig config = test::step_config({"run.precision=fp32"});
  Learner learner(config, 5, at::kCPU);
  const auto communicator = dist::make_communicator(*world, at::kCPU);
  Step step(config, learner, *communicator);
  StepResult result;
  for (int i = 0; i < 4; ++i) {
    data::Batch batch = test::random_batch(static_cast<std::uint64_t>(world->rank()), 2, 5, 32, 64);
    if (is_last() && i == 2) {
      batch.image_n3hw[0][0][0][0] = std::numeric_limits<float>::quiet_NaN();
    }
    result = step.compute(batch);
  }
  const std::string message = message_of([&] {
    static_cast<void>(require_finite_steps(*world, step, result.losses, {.epoch = 2, .step = 14, .start = 10}));
  });
  EXPECT_TRUE(contains(message, "training diverged in epoch 2: ")) << message;
  // Batch norm passes it on to the images of all ranks; so they all are named, with the step.
  EXPECT_TRUE(contains(message, fmt::format("rank {} on {}: the losses of its images are not finite in step 13",
                                            world->size() - 1, dist::host_name())))
      << message;
}

TEST(Health, ALossOfOneRankNamesThatRankAlone) {
  const config::RunConfig config = test::step_config({"run.precision=fp32"});
  Learner learner(config, 5, at::kCPU);
  const auto communicator = dist::make_communicator(*world, at::kCPU);
  Step step(config, learner, *communicator);
  data::Batch batch = test::random_batch(static_cast<std::uint64_t>(world->rank()), 1, 5, 32, 64);
  if (is_last()) {
    batch.targets.at("depth").fill_(std::numeric_limits<float>::infinity());
  }
  const StepResult result = step.compute(batch);
  const std::string message = message_of([&] {
    static_cast<void>(require_finite_steps(*world, step, result.losses, {.epoch = 1, .step = 1, .start = 0}));
  });
  EXPECT_TRUE(
      contains(message, fmt::format("epoch 1: rank {} on {}: the losses of its images are not finite in step 1;",
                                    world->size() - 1, dist::host_name())) ||
      world->size() == 1)
      << message;
}

TEST(Health, StateThatIsNotFiniteOrNotTheSameOnAllRanks) {
  const config::RunConfig config = test::step_config({"run.precision=fp32"});
  const Learner learner(config, 5, at::kCPU);
  const auto state = [&] { require_finite_state(*world, learner, {.epoch = 1, .step = 9, .start = 0}); };
  EXPECT_EQ(message_of(state), "accepted");
  const at::Tensor& running = learner.net.parameters().buffers().back().tensor;
  if (is_last()) {
    running.fill_(std::numeric_limits<float>::quiet_NaN());
  }
  EXPECT_TRUE(contains(message_of(state), learner.net.parameters().buffers().back().name)) << message_of(state);
  running.fill_(1.0);
  if (world->size() == 1) {
    return;
  }
  if (is_last()) {  // by one bit
    const at::Tensor one = learner.net.parameters().flat_values().narrow(0, 0, 1);
    one.copy_(at::nextafter(one, at::full_like(one, 9.0)));
  }
  EXPECT_TRUE(contains(message_of(state), fmt::format("rank {} on {} holds other weights than rank 0",
                                                      world->size() - 1, dist::host_name())))
      << message_of(state);
}

}  // namespace
}  // namespace xtasc::train
