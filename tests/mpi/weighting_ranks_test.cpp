#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/systems.hpp"
#include "dist/communicator.hpp"
#include "mpi/world.hpp"
#include "net/networks.hpp"
#include "support/learners.hpp"
#include "support/methods.hpp"
#include "support/nets.hpp"
#include "support/systems.hpp"
#include "train/step.hpp"

namespace xtasc {
namespace {

using test::world;

/// What a learner is made of, and the method that trains it.
struct Case {
  std::string_view network;
  std::string_view method;
};

/// The network's assignments: a system's word, or one of a system's other forms.
std::vector<std::string> assignments_of(std::string_view network) {
  if (network == "cross_stitch_misra") {
    return {"model.system=cross_stitch", "model.cross_stitch=misra"};
  }
  if (network == "adamt_per_slot") {
    return {"model.system=adamt", "model.adamt_attention=per_slot"};
  }
  if (network == "mtan_of_three") {
    return {"model.system=mtan", R"(model.tasks=["segmentation", "depth", "normals"])"};
  }
  return test::assignments_of(config::system_of(network));
}

config::RunConfig config_of(const Case& row, std::string_view precision) {
  std::vector<std::string> assignments = assignments_of(row.network);
  assignments.insert(assignments.end(),
                     {"model.decoder_width=8", "model.ttnet_widths=[4,4,4]", "train.bucket_mib=3",
                      fmt::format("run.precision={}", precision), fmt::format("weighting.method={}", row.method)});
  return test::step_config(assignments);
}

/// A learner that goes on under another method, with a fresh optimizer: cheaper than a new net for each.
void change_method(train::Learner& learner, const config::RunConfig& config) {
  const auto type = at::TensorOptions().dtype(learner.types.storage);
  const model::ParameterSet& set = learner.net.parameters();
  const auto num_tasks = static_cast<std::int64_t>(learner.net.tasks().size());
  learner.weighting = weighting::make_task_weighting(
      {.section = config.weighting, .num_tasks = num_tasks, .num_values = set.flat_values().numel(), .tensors = type});
  std::vector<optim::Adam::Group> groups = {{"net", set.flat_values(), set.flat_gradients()}};
  if (learner.weighting->flat_values().defined()) {
    groups.push_back({"weighting", learner.weighting->flat_values(), learner.weighting->flat_gradients()});
  }
  learner.optimizer = std::make_unique<optim::Adam>(groups, optim::Adam::Options{.beta1 = 0.9, .beta2 = 0.99});
  // Two epochs lie behind: every method is at work from the first step on.
  learner.weighting->end_epoch(0, at::tensor({3.0, 2.5, 2.8}, at::kDouble).narrow(0, 0, num_tasks));
  learner.weighting->end_epoch(1, at::tensor({2.0, 2.4, 1.9}, at::kDouble).narrow(0, 0, num_tasks));
}

void expect_close(const weighting::NamedTensors& found, const weighting::NamedTensors& expected,
                  const std::set<std::string>& without_influence) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::string& name = found[i].first;
    ASSERT_EQ(name, expected[i].first);
    const double scale = std::max(expected[i].second.norm().item<double>(), 1e-6);
    if (!without_influence.contains(name)) {
      EXPECT_LT((found[i].second - expected[i].second).norm().item<double>() / scale, 1e-8) << name;
    }
  }
}

/// These rows of a batch where a run has them, in the learner's type.
data::Batch part_of(const data::Batch& whole, const data::Range& range, const config::RunConfig& config,
                    const train::Learner& learner, std::int64_t step) {
  return test::in_place(test::rows(whole, range, learner.types.storage), config, learner, range.begin, step);
}

/// One learner that all ranks train together and one that rank 0 trains alone, on the same batches: of 5 images, which
/// neither 2 nor 3 ranks share evenly, and of 2, which leave one of three ranks without any.
class MethodOnRanks : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (world->size() == 1) {
      GTEST_SKIP() << "one rank is what the others are compared with";
    }
  }
  static void TearDownTestSuite() {
    shared_.reset();
    alone_.reset();
  }

  static void compare(const std::string& precision, int num_steps, double loss_tolerance) {
    const config::RunConfig config = config_of(GetParam(), precision);
    const auto comm = dist::make_communicator(*world, at::kCPU);
    const auto solo = dist::make_solo_communicator();
    const bool is_first = world->rank() == 0;
    if (network_ != GetParam().network) {
      network_ = GetParam().network;
      shared_.reset();
      alone_.reset();
    }
    prepare(shared_, config);
    std::optional<train::Step> alone_step;
    if (is_first) {
      prepare(alone_, config);
      alone_->net.parameters().flat_values().copy_(shared_->net.parameters().flat_values());
      alone_step.emplace(config, *alone_, *solo);
    }
    train::Step shared_step(config, *shared_, *comm);
    for (int i = 0; i < num_steps; ++i) {
      const weighting::Moment moment = {.epoch = 2, .step = i};
      const data::Batch whole = batch_of_step(i);
      const std::int64_t size = whole.image_n3hw.size(0);
      const data::Range mine = data::share_of({0, size}, world->rank(), world->size());
      const at::Tensor together = shared_step.compute(part_of(whole, mine, config, *shared_, i), moment).losses;
      shared_step.update(1e-4);
      if (is_first) {
        const at::Tensor expected = alone_step->compute(part_of(whole, {0, size}, config, *alone_, i), moment).losses;
        alone_step->update(1e-4);
        EXPECT_LT(((together - expected).abs() / expected.abs().clamp_min(1e-3)).max().item<double>(), loss_tolerance)
            << "losses of step " << i << "\n"
            << together << "\n"
            << expected;
      }
    }
    const at::Tensor values = shared_->net.parameters().flat_values();
    const at::Tensor first = values.clone();
    comm->broadcast(first);
    EXPECT_TRUE(at::equal(values, first)) << "rank " << world->rank() << " holds other bits than rank 0";
    if (is_first && precision == "fp64") {
      expect_close(shared_->weights(), alone_->weights(), net::biases_before_norms(config.model));
      if (shared_->adaptors_adam) {
        expect_close(shared_->adaptors_adam->state(), alone_->adaptors_adam->state(), {});
      }
      expect_close(shared_->weighting->state(), alone_->weighting->state(), {});
    }
  }

 private:
  static data::Batch batch_of_step(int step) {
    return test::random_batch(static_cast<std::uint64_t>(step), step % 2 == 0 ? 5 : 2, 5, 64, 32);
  }

  static void prepare(std::unique_ptr<train::Learner>& learner, const config::RunConfig& config) {
    if (!learner || learner->types.storage != train::types_of(config.run.precision).storage) {
      learner = test::learner_for(config, 5, batch_of_step(0), at::kCPU);
    }
    for (const auto& [name, tensor] : learner->net.parameters().buffers()) {
      tensor.fill_(name.ends_with("running_var") ? 1.0 : 0.0);
    }
    change_method(*learner, config);
  }

  static inline std::string_view network_;
  static inline std::unique_ptr<train::Learner> shared_, alone_;
};

TEST_P(MethodOnRanks, EqualOneInFp64) {
  compare("fp64", 2, 1e-8);
}

/// Half a minute a method: run with --gtest_also_run_disabled_tests.
TEST_P(MethodOnRanks, DISABLED_EqualOneInFp64ForFiftySteps) {
  compare("fp64", 50, 1e-8);
}

TEST_P(MethodOnRanks, DISABLED_EqualOneInFp32) {
  compare("fp32", 5, 1e-4);
}

/// The networks that the paper compares with: which parameters their tasks share follows from each.
class NetworkOnRanks : public MethodOnRanks {};

TEST_P(NetworkOnRanks, EqualsOneInFp64) {
  compare("fp64", 2, 1e-8);
}

std::vector<Case> cases_of(const std::vector<std::string_view>& networks,
                           const std::vector<std::string_view>& methods) {
  std::vector<Case> cases;
  for (const std::string_view network : networks) {
    for (const std::string_view method : methods) {
      cases.push_back({network, method});
    }
  }
  return cases;
}

const auto name_of = [](const auto& test) { return fmt::format("{}_{}", test.param.network, test.param.method); };

INSTANTIATE_TEST_SUITE_P(Witnesses, MethodOnRanks, testing::ValuesIn(cases_of({"xtasc"}, test::witness_methods())),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Long, MethodOnRanks, testing::ValuesIn(cases_of({"xtasc"}, test::witness_methods(false))),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Witness, NetworkOnRanks, testing::Values(Case{"segnet", "cagrad"}), name_of);
INSTANTIATE_TEST_SUITE_P(LongSingle, NetworkOnRanks, testing::Values(Case{"stan", "equal"}), name_of);
INSTANTIATE_TEST_SUITE_P(Long, NetworkOnRanks,
                         testing::ValuesIn(cases_of({"segnet", "dense", "cross_stitch", "cross_stitch_misra", "mtan",
                                                     "mtan_of_three", "kd4mtl", "adamt", "adamt_per_slot"},
                                                    test::method_words())),
                         name_of);

}  // namespace
}  // namespace xtasc
