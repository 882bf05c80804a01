#include "toy/toy.hpp"
#include "support/systems.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "config/methods.hpp"
#include "config/systems.hpp"
#include "support/methods.hpp"
#include "support/nets.hpp"
#include "support/temp_folder.hpp"
#include "support/tier.hpp"
#include "train/checkpoint.hpp"
#include "train/reach.hpp"
#include "train/step.hpp"

// Three tasks, on the paper's network and on one that has no encoder cut.
namespace xtasc::train {
namespace {

constexpr std::int64_t kClasses = 5;

config::RunConfig toy_config(const std::string& system, std::string_view method, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"model.system=" + system, fmt::format("weighting.method={}", method),
                             "model.decoder_width=8", "model.ttnet_widths=[4,4,4]"});
  return test::step_config(more);
}

data::Batch batch_of(std::uint64_t seed, at::ScalarType type) {
  return test::rows(test::toy_batch(seed, 3, kClasses, 32, 32), {0, 3}, type);
}

double deviation(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

/// Every word, those of tests/toy among them.
std::vector<std::string_view> all_methods() {
  test::add_toys();
  return test::method_words();
}

TEST(Tables, EveryRowIsMadeAndEveryMakerKeepsWhatItsRowSays) {
  test::add_toys();
  for (const config::System& system : config::systems()) {
    const auto config = config::run_config_of(test::assignments_of(system));
    const auto net = model::make_network(config.model, {kClasses, 64, 64}, 1, at::kMeta, at::kFloat);
    EXPECT_EQ(net->tasks().size(), config::system_of(config.model).tasks.size()) << system.word;
    EXPECT_EQ(net->transfers().empty(), !system.has_transfer()) << system.word;
    const auto objective = loss::make_objective(system.consistency, config.loss, net->tasks(), net->transfers());
    std::vector<double> shares(net->tasks().size());
    std::set<std::string> names;
    for (const loss::Term& term : objective->terms()) {
      shares.at(term.counts_to) += term.share;
      names.insert(term.name);
    }
    EXPECT_EQ(names.size(), objective->terms().size()) << system.word;
    for (const double share : shares) {
      EXPECT_NEAR(share, 1.0, 1e-15) << system.word;
    }
  }
  for (const config::Method& method : config::methods()) {
    const auto made = weighting::make_task_weighting(
        {.section = config::default_weighting(method.word), .num_tasks = 3, .tensors = at::kDouble});
    EXPECT_EQ(made->needs(), method.needs) << method.word;
    EXPECT_EQ(made->max_norm() > 0.0, method.uses("max_norm")) << method.word;
  }
}

TEST(Tables, AKeyOfTheToyRenamesNoOtherRun) {
  test::add_toys();
  const auto id = [](const std::string& system, std::vector<std::string> more) {
    more.push_back("model.system=" + system);
    return config::identity_text(config::run_config_of(more));
  };
  EXPECT_NE(id("toy", {}), id("toy", {"loss.lambda_1=0.3"}));
  EXPECT_NE(id("toy", {}), id("toy", {"loss.transferred_depth=ssim"}));
  for (const char* says_nothing : {"model.decoder_width=64", "model.encoder=resnet50"}) {  // to a net without them
    EXPECT_EQ(id("toy", {}), id("toy", {says_nothing})) << says_nothing;
    EXPECT_NE(id("base_st_seg", {}), id("base_st_seg", {says_nothing})) << says_nothing;
  }
  // A system with a key more: its default is the same run, another value another one, and nobody else is renamed.
  const std::string before = id("base_mt", {}) + id("toy", {}) + id("xtasc_of_three", {"run.seed=3"});
  config::System wide = config::system_of("toy");
  wide.word = "toy_wide";
  wide.keys = {"model.decoder_width"};
  config::add_system(wide);
  EXPECT_EQ(id("toy_wide", {}), id("toy_wide", {"model.decoder_width=128"}));
  EXPECT_NE(id("toy_wide", {}), id("toy_wide", {"model.decoder_width=64"}));
  EXPECT_EQ(id("base_mt", {}) + id("toy", {}) + id("xtasc_of_three", {"run.seed=3"}), before);
  EXPECT_NE(id("xtasc", {}), id("xtasc", {"model.ttnet_batch_norm=true"}));
  EXPECT_EQ(id("toy", {}), id("toy", {"model.ttnet_batch_norm=true"}));  // which its row does not name
  EXPECT_EQ(id("base_mt", {}), id("base_mt", {"loss.lambda_1=0.3"}));
}

/// Part of the net (a name up to its first dot) -> the tasks that reach it.
std::map<std::string, TaskSet> reach_by_part(const config::RunConfig& config, std::int64_t num_images) {
  const Learner learner(config, kClasses, at::kCPU);
  Cut cut;
  model::Mode mode = {.training = true, .compute = at::kDouble};
  mode.at_cut = [&cut](std::span<at::Tensor> outputs) {
    for (at::Tensor& output : outputs) {
      cut.outputs.push_back(output);
      output = output.detach().requires_grad_(true);
      cut.leaves.push_back(output);
    }
  };
  if (num_images == 0) {
    mode.sum_over_ranks = [](const at::Tensor& sums) { sums.fill_(10.0); };  // another rank has some
  }
  const data::Batch batch = test::rows(batch_of(1, at::kDouble), {0, num_images}, at::kDouble);
  const auto losses =
      learner.objective->losses(learner.net.forward(batch.image_n3hw, mode),
                                targets_of(batch, learner.net.tasks(), at::kDouble), loss::LossForm::plain);
  std::vector<at::Tensor> objectives(learner.net.tasks().size());
  for (std::size_t k = 0; k < losses.size(); ++k) {
    at::Tensor& of_task = objectives[learner.objective->terms()[k].counts_to];
    of_task = of_task.defined() ? of_task + losses[k].sum : losses[k].sum;
  }
  std::map<std::string, TaskSet> reach;
  std::size_t next = 0;
  for (const ReachedRun& run : reach_of(objectives, cut, learner.net.parameters())) {
    EXPECT_EQ(run.first, next);
    next = run.last;
    for (std::size_t i = run.first; i < run.last; ++i) {
      const std::string& name = learner.net.parameters().parameters()[i].name;
      reach[name.substr(0, name.find('.'))] |= run.tasks;
    }
  }
  EXPECT_EQ(next, learner.net.parameters().parameters().size());
  return reach;
}

TEST(Reach, IsWhatTheGraphSays) {
  test::add_toys();
  const std::map<std::string, TaskSet> paper = {
      {"encoder", 3}, {"seg_decoder", 1}, {"depth_decoder", 2}, {"seg_to_depth", 1}, {"depth_to_seg", 2}};
  const std::map<std::string, TaskSet> toy = {
      {"trunk", 7},        {"mixer", 7},         {"seg_branch", 1},  {"depth_branch", 2}, {"flow_branch", 4},
      {"seg_head", 1},     {"depth_head", 2},    {"flow_head", 4},   {"seg_to_depth", 1}, {"seg_to_flow", 1},
      {"depth_to_seg", 2}, {"depth_to_flow", 2}, {"flow_to_seg", 4}, {"flow_to_depth", 4}};
  for (const std::int64_t num_images : {3, 0}) {
    EXPECT_EQ(reach_by_part(toy_config("xtasc", "equal"), num_images), paper) << num_images;
    EXPECT_EQ(reach_by_part(toy_config("toy", "equal"), num_images), toy) << num_images;
  }
}

class OfThree : public testing::TestWithParam<std::tuple<std::string, std::string_view>> {
 protected:
  static void SetUpTestSuite() { test::add_toys(); }
};

/// Each task's gradient by a plain backward pass (`uncertainty` with a weight of 1 and two of 0), mixed by the factors
/// that the method reports: what is shared by the factors, what is a task's own by the losses' weights or by both.
TEST_P(OfThree, GradientsAreMixedByTheReportedFactors) {
  const auto& [system, method] = GetParam();
  const config::Method& row = config::method_of(method);
  if (row.needs == config::Needs::vectors) {
    GTEST_SKIP() << method << " changes the gradients: tests/peer/compare_toy.py has it";
  }
  const auto communicator = dist::make_solo_communicator();
  const bool mixes = config::combines_gradients(row.needs);
  const std::vector<std::string> unshortened =
      mixes && row.uses("max_norm") ? std::vector<std::string>{"weighting.max_norm=0"} : std::vector<std::string>{};
  const auto config = toy_config(system, method, unshortened);
  Learner learner(config, kClasses, at::kCPU);
  const data::Batch batch = batch_of(1, at::kDouble);
  const auto gradient_by = [&](const config::RunConfig& one, const std::function<void()>& set, at::Tensor* weights) {
    learner.weighting =
        weighting::make_task_weighting({.section = one.weighting, .num_tasks = 3, .tensors = at::kDouble});
    set();
    Step step(one, learner, *communicator);
    const StepResult result = step.compute(batch, {.epoch = 0, .step = 3});
    if (weights != nullptr) {
      *weights = result.task_weights;
    }
    return learner.net.parameters().flat_gradients().clone();
  };
  std::vector<at::Tensor> of_task;
  for (std::int64_t task = 0; task < 3; ++task) {
    of_task.push_back(gradient_by(
        toy_config(system, "uncertainty"),
        [&] {
          const at::Tensor s = learner.weighting->weights().front().second;
          s.fill_(1000.0);
          s[task].fill_(-std::log(2.0));
        },
        nullptr));
  }
  for (const bool over_all : {false, true}) {
    if (over_all && !mixes) {
      continue;
    }
    std::vector<std::string> more = unshortened;
    more.emplace_back("weighting.parameters=all");
    const auto one = over_all ? toy_config(system, method, more) : config;
    at::Tensor weights;
    at::Tensor found = gradient_by(
        one, [] {}, &weights);
    at::Tensor expected = weights[0] * of_task[0] + weights[1] * of_task[1] + weights[2] * of_task[2];
    if (mixes && !over_all && config.weighting.heads == config::HeadGradients::plain) {
      const at::Tensor is_shared = (of_task[0] != 0).logical_and(of_task[1] != 0).logical_and(of_task[2] != 0);
      expected = at::where(is_shared, expected, of_task[0] + of_task[1] + of_task[2]);
    }
    if (method == "famo") {
      expected = expected * (found.norm() / expected.norm());  // shortened
    }
    EXPECT_LT(deviation(found, expected), 1e-9) << (over_all ? "all" : "shared");
  }
}

class ToyResumes : public testing::TestWithParam<std::string_view> {};

/// Saved in the third epoch and gone on with in another learner: the bits of a run that was never stopped.
TEST_P(ToyResumes, BitForBit) {
  const auto config = toy_config("toy", GetParam(), {"run.precision=fp32"});
  const auto communicator = dist::make_solo_communicator();
  const auto take_step = [&](Learner& learner, std::int64_t number) {
    Step step(config, learner, *communicator);
    const StepResult result =
        step.compute(batch_of(static_cast<std::uint64_t>(number), at::kFloat), {.epoch = 2, .step = number});
    step.update(1e-3);
    return result;
  };
  const test::TempFolder folder;
  const Checkpoint checkpoint(folder.path() / "last");
  Learner unbroken(config, kClasses, at::kCPU);
  unbroken.weighting->end_epoch(0, at::tensor({3.0, 2.5, 2.8}, at::kDouble));
  unbroken.weighting->end_epoch(1, at::tensor({2.0, 2.4, 1.9}, at::kDouble));
  take_step(unbroken, 2);
  checkpoint.save(tensors_of(unbroken), {.epoch = 2, .step_in_epoch = 1, .step = 3}, {"config", "digest"});
  const StepResult expected = take_step(unbroken, 3);
  Learner resumed(config, kClasses, at::kCPU);
  ASSERT_TRUE(checkpoint.load(resumed, {"config", "digest"}));
  const StepResult found = take_step(resumed, 3);
  EXPECT_TRUE(at::equal(found.losses, expected.losses));
  EXPECT_TRUE(at::equal(found.task_weights, expected.task_weights));
  EXPECT_TRUE(at::equal(resumed.net.parameters().flat_values(), unbroken.net.parameters().flat_values()));
  const auto a = resumed.state();
  const auto b = unbroken.state();
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(at::equal(a[i].second, b[i].second)) << a[i].first;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryMethod, ToyResumes, testing::ValuesIn(all_methods()),
                         [](const auto& test) { return std::string(test.param); });

std::string name_of(const testing::TestParamInfo<OfThree::ParamType>& test) {
  return fmt::format("{}_{}", std::get<0>(test.param), std::get<1>(test.param));
}
INSTANTIATE_TEST_SUITE_P(EveryMethod, OfThree,
                         testing::Combine(testing::Values("toy"), testing::ValuesIn(all_methods())), name_of);
/// Those that look at each task's gradient, which goes back to the encoder's cut first.
INSTANTIATE_TEST_SUITE_P(WithACut, OfThree,
                         testing::Combine(testing::Values("xtasc_of_three"),
                                          testing::ValuesIn(test::is_long_tier()
                                                                ? std::vector<std::string_view>{"gradnorm", "pcgrad",
                                                                                                "cagrad", "mgda",
                                                                                                "imtl_g", "imtl"}
                                                                : std::vector<std::string_view>{"gradnorm", "pcgrad"})),
                         name_of);

/// In one pass as in ATen's operations: nine losses of three tasks, one of them with two channels.
TEST(FusedLossesOfThree, EqualThePlainOnes) {
  test::add_toys();
  const auto config = toy_config("toy", "equal");
  Learner learner(config, kClasses, at::kCPU);
  const data::Batch batch = batch_of(4, at::kDouble);
  const auto targets = targets_of(batch, learner.net.tasks(), at::kDouble);
  const auto both = [&](loss::LossForm form) {
    learner.net.parameters().flat_gradients().zero_();
    const auto losses = learner.objective->losses(
        learner.net.forward(batch.image_n3hw, {.training = true, .compute = at::kDouble}), targets, form);
    at::Tensor sum = losses.front().sum;
    for (std::size_t k = 1; k < losses.size(); ++k) {
      sum = sum + (1.0 + static_cast<double>(k)) * losses[k].sum;
    }
    sum.backward();
    return std::pair(sums_and_counts(losses), learner.net.parameters().flat_gradients().clone());
  };
  const auto [plain, plain_gradient] = both(loss::LossForm::plain);
  const auto [fused, fused_gradient] = both(loss::LossForm::fused);
  EXPECT_EQ(plain.numel(), 18);
  EXPECT_LT(deviation(fused, plain), 1e-14);
  EXPECT_LT(deviation(fused_gradient, plain_gradient), 1e-12);
}

}  // namespace
}  // namespace xtasc::train
