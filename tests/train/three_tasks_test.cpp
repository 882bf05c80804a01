// XTasC-Net, Align-Net and the baselines with surface normals as a third task, and with labels that images lack.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "support/methods.hpp"
#include "support/nets.hpp"
#include "support/tier.hpp"
#include "train/evaluate.hpp"
#include "train/step.hpp"
#include "train/transfers.hpp"

namespace xtasc::train {
namespace {

constexpr std::int64_t kClasses = 5;
const std::string kThree = "model.tasks=[\"segmentation\",\"depth\",\"normals\"]";

/// What a case is called, and its config.
struct Case {
  const char* name;
  std::vector<std::string> assignments;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"pairs", {"model.system=xtasc", kThree, "loss.lambda_3=0.3"}},
      {"ring", {"model.system=xtasc", kThree, "model.transfer=ring"}},
      {"sample", {"model.system=xtasc", kThree, "model.transfer=sample"}},
      {"sample_of_two", {"model.system=xtasc", kThree, "model.transfer=sample", "model.transfers_per_task=2"}},
      {"some_pairs", {"model.system=xtasc", kThree, "model.transfer_pairs=[\"normals>depth\",\"seg>normals\"]"}},
      {"other_order", {"model.system=xtasc", "model.tasks=[\"normals\",\"depth\"]"}},
      {"align", {"model.system=align", kThree}},
      {"base_mt", {"model.system=base_mt", kThree}},
      {"base_st", {"model.system=base_st", "model.tasks=[\"normals\"]"}},
      {"segnet", {"model.system=segnet", kThree}},
  };
  return all;
}

config::RunConfig config_of(std::vector<std::string> assignments, const std::vector<std::string>& more = {}) {
  assignments.insert(assignments.end(), more.begin(), more.end());
  return test::step_config(assignments);
}

/// The first image lacks labels of two tasks, the second of one, the third of all.
data::Batch partly_labelled(data::Batch batch) {
  const auto hide = [&batch](const char* task, std::vector<std::uint8_t> has, double unknown) {
    for (std::size_t n = 0; n < has.size(); ++n) {
      if (has[n] == 0) {
        batch.targets.at(task)[static_cast<std::int64_t>(n)].fill_(unknown);
      }
    }
    batch.targets[task::flags_key(task)] = at::tensor(has, at::kByte);
  };
  hide("seg", {0, 1, 0, 1}, 255);
  hide("depth", {0, 1, 0, 1}, 0);
  hide("normals", {1, 0, 0, 1}, 0);
  return batch;
}

data::Batch batch_of(std::uint64_t seed, at::ScalarType type, bool is_partial) {
  const data::Batch batch = test::rows(test::random_batch(seed, 4, kClasses, 32, 32), {0, 4}, type);
  return is_partial ? partly_labelled(batch) : batch;
}

class ThreeTasks : public testing::TestWithParam<Case> {};

TEST_P(ThreeTasks, OnePassOverTheLossesEqualsThePlainOnes) {
  // Losses and gradients of a step with all labels, and of one with some of them.
  const auto train = [&](const char* rewrites) {
    const auto config = config_of(GetParam().assignments, {rewrites});
    const auto communicator = dist::make_solo_communicator();
    Learner learner(config, kClasses, at::kCPU);
    Step step(config, learner, *communicator);
    std::vector<std::pair<at::Tensor, at::Tensor>> steps;
    for (const bool is_partial : {false, true}) {
      StepResult result = step.compute(batch_of(2, at::kDouble, is_partial), {.epoch = 0, .step = 5});
      steps.emplace_back(result.losses.clone(), learner.net.parameters().flat_gradients().clone());
    }
    return steps;
  };
  const auto found = train("train.rewrites=true");
  const auto plain = train("train.rewrites=false");
  for (std::size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(i == 0 ? "all labels" : "partial labels");
    const auto& [losses, gradients] = found[i];
    const auto& [plain_losses, plain_gradients] = plain[i];
    EXPECT_LT((losses - plain_losses).abs().max().item<double>(), 1e-11);
    EXPECT_LT(((gradients - plain_gradients).norm() / plain_gradients.norm()).item<double>(), 1e-10);
    EXPECT_GT(losses[-1].item<double>(), 0.0);
  }
}

TEST_P(ThreeTasks, AStepNeverLooksAtAValue) {
  const auto config = config_of(GetParam().assignments, {"run.precision=bf16"});
  const auto communicator = dist::make_solo_communicator();
  Learner learner(config, kClasses, at::kMeta);
  Step step(config, learner, *communicator);
  for (const bool is_partial : {false, true}) {
    const StepResult result = step.compute(test::on_meta(batch_of(1, at::kFloat, is_partial)));
    step.update(1e-4);
    EXPECT_TRUE(result.losses.is_meta());
  }
}

TEST_P(ThreeTasks, ABatchWithoutTruthMovesConsistencyAlone) {
  const auto config = config_of(GetParam().assignments);
  const bool is_consistent = config::system_of(config.model).consistency == config::Consistency::xtc;
  const auto communicator = dist::make_solo_communicator();
  Learner learner(config, kClasses, at::kCPU);
  Step step(config, learner, *communicator);
  data::Batch batch = batch_of(2, at::kDouble, false);
  batch.targets.at("seg").fill_(255);
  batch.targets.at("depth").fill_(0);
  batch.targets.at("normals").fill_(0);
  EXPECT_EQ(step.compute(batch).losses.abs().max().item<double>(), 0.0);
  EXPECT_EQ(learner.net.parameters().flat_gradients().abs().max().item<double>(), 0.0);
  for (const char* task : {"seg", "depth", "normals"}) {  // no label of the task, instead of no known pixel
    batch.targets[task::flags_key(task)] = at::zeros({4}, at::kByte);
  }
  const at::Tensor losses = step.compute(batch).losses;
  const auto num_tasks = static_cast<std::int64_t>(learner.net.tasks().size());
  EXPECT_EQ(losses.narrow(0, 0, num_tasks).abs().max().item<double>(), 0.0);
  EXPECT_EQ(losses[-1].item<double>() > 0.0, is_consistent);
  EXPECT_EQ(learner.net.parameters().flat_gradients().abs().max().item<double>() > 0.0, is_consistent);
}

TEST_P(ThreeTasks, EvaluationLooksAtAllTransfers) {
  const auto config = config_of(GetParam().assignments);
  const Learner learner(config, kClasses, at::kCPU);
  EvaluationSums sums(config, learner);
  sums.add(batch_of(2, at::kDouble, true));
  const Evaluation evaluation = sums.result();
  EXPECT_EQ(evaluation.losses.size(), learner.objective->terms().size() + 1);
  double total = 0.0;
  const auto objective = objective_of(config, learner.net, TransfersOf::evaluation);
  for (const loss::Term& term : objective->terms()) {
    total += term.share * evaluation.losses.at(term.name);
  }
  EXPECT_NEAR(evaluation.losses.at("total"), total, 1e-12);
  const bool has_normals = config::system_of(config.model).has("normals");
  EXPECT_EQ(evaluation.report.paper.contains("angle_median"), has_normals);
  EXPECT_EQ(evaluation.report.dataset.contains("within_30"), has_normals);
}

INSTANTIATE_TEST_SUITE_P(Systems, ThreeTasks, testing::ValuesIn(cases()),
                         [](const auto& one) { return std::string(one.param.name); });

/// Steps under a method with all labels, with some, and with all again.
void train_under(std::string_view method, const std::vector<std::string>& more) {
  SCOPED_TRACE(fmt::format("{}, {}", method, fmt::join(more, ", ")));
  std::vector<std::string> assignments = {"model.system=xtasc", kThree, fmt::format("weighting.method={}", method)};
  assignments.insert(assignments.end(), more.begin(), more.end());
  const auto config = config_of(assignments);
  const auto communicator = dist::make_solo_communicator();
  Learner learner(config, kClasses, at::kCPU);
  Step step(config, learner, *communicator);
  for (std::int64_t i = 0; i < (test::is_long_tier() ? 3 : 2); ++i) {
    const StepResult result = step.compute(batch_of(2, at::kDouble, i == 1), {.epoch = 0, .step = i});
    EXPECT_EQ(result.task_weights.size(0), 3);
    EXPECT_TRUE(result.losses.isfinite().all().item<bool>());
    step.update(1e-4);
  }
  EXPECT_TRUE(learner.net.parameters().flat_values().isfinite().all().item<bool>());
}

/// What each method computes is held to PyTorch on the toy net (tests/peer/compare_toy.py); here that it bears losses
/// that a step does not draw and labels that images lack.
TEST(ThreeTasks, MethodsWeighThem) {
  const bool is_long = test::is_long_tier();
  for (const std::string_view method : is_long ? test::method_words() : test::witness_methods()) {
    const bool compares = config::method_of(method).uses("parameters");
    for (const char* transfer : {"sample", "pairs"}) {
      if (transfer == std::string_view("pairs") && !is_long) {
        continue;
      }
      const std::string transfers = fmt::format("model.transfer={}", transfer);
      if (compares) {
        train_under(method, {transfers, "weighting.parameters=all"});
      }
      if (!compares || is_long) {
        train_under(method, {transfers});
      }
    }
  }
}

TEST(Transfers, AStepSaysWhatItCounted) {
  auto config = config_of({"model.system=xtasc", kThree, "model.transfer=sample"});
  const auto communicator = dist::make_solo_communicator();
  Learner learner(config, kClasses, at::kCPU);
  Step step(config, learner, *communicator);
  data::Batch batch = batch_of(2, at::kDouble, false);
  batch.targets.at("seg").fill_(255);
  const StepResult result = step.compute(batch, {.epoch = 0, .step = 3});
  const auto drawn = transfers_of_step(config, learner.net.transfers(), 3);
  const auto& terms = learner.objective->terms();
  for (std::size_t k = 0; k < terms.size(); ++k) {
    const bool is_expected = terms[k].name != "seg" && !terms[k].name.ends_with("_to_seg") && (k < 3 || drawn[k - 3]);
    EXPECT_EQ(result.is_counted[static_cast<std::int64_t>(k)].item<double>(), is_expected ? 1.0 : 0.0) << terms[k].name;
  }
}

TEST(Transfers, AreDrawnByStepAndTask) {
  const auto config = config_of({"model.system=xtasc", kThree, "model.transfer=sample"});
  const Learner learner(config, kClasses, at::kCPU);
  const auto transfers = learner.net.transfers();
  ASSERT_EQ(transfers.size(), 6U);
  std::vector<int> counted(transfers.size());
  for (std::int64_t step = 0; step < 20; ++step) {
    const auto drawn = transfers_of_step(config, transfers, step);
    for (std::size_t from = 0; from < 3; ++from) {  // of each task's two one
      EXPECT_NE(drawn[2 * from], drawn[2 * from + 1]) << step;
    }
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      counted[i] += drawn[i] ? 1 : 0;
    }
  }
  for (std::size_t i = 0; i < counted.size(); ++i) {
    EXPECT_GT(counted[i], 2) << transfers[i].name();
  }
  EXPECT_TRUE(transfers_of_step(config_of({"model.system=xtasc", kThree}), transfers, 0).empty());
}

}  // namespace
}  // namespace xtasc::train
