#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "config/run_config.hpp"
#include "weighting/methods.hpp"

// Methods that follow from the losses alone: their weights are the derivative of what they say they minimise, found by
// differences, for two tasks and for three.
namespace xtasc::weighting {
namespace {

using Losses = std::vector<double>;

at::Tensor tensor(const Losses& values) {
  return at::tensor(values, at::kDouble);
}

std::unique_ptr<TaskWeighting> make(const std::string& method, std::int64_t num_tasks,
                                    const std::function<void(config::WeightingSection&)>& change = {}) {
  config::WeightingSection section = config::default_weighting(method);
  if (change) {
    change(section);
  }
  return make_task_weighting({.section = section, .num_tasks = num_tasks, .seed = 3, .tensors = at::kDouble});
}

void expect_derivative(TaskWeighting& method, const Losses& losses, const Moment& moment,
                       const std::function<double(const Losses&)>& objective) {
  const StepWeights found = method.weigh(tensor(losses), moment);
  EXPECT_NEAR(found.total.item<double>(), objective(losses), 1e-12);
  for (std::size_t t = 0; t < losses.size(); ++t) {
    constexpr double kStep = 1e-5;
    Losses more = losses;
    Losses less = losses;
    more[t] += kStep;
    less[t] -= kStep;
    const double slope = (objective(more) - objective(less)) / (2 * kStep);
    EXPECT_NEAR(found.weights[static_cast<std::int64_t>(t)].item<double>(), slope, 1e-7) << "task " << t;
  }
}

const std::vector<Losses> kLosses = {{0.7, 2.5}, {1.3, 0.4, 2.2}};

double sum_of_logs(const Losses& losses) {
  return std::accumulate(losses.begin(), losses.end(), 0.0, [](double sum, double l) { return sum + std::log(l); });
}

TEST(LossMethods, FixedIsTheWeightedSum) {
  for (const Losses& losses : kLosses) {
    const Losses weights(losses.size(), 0.3);
    const auto method =
        make("fixed", static_cast<std::int64_t>(losses.size()), [&](auto& section) { section.weights = weights; });
    expect_derivative(*method, losses, {},
                      [](const Losses& l) { return 0.3 * std::accumulate(l.begin(), l.end(), 0.0); });
  }
}

TEST(LossMethods, SiAndGlsAreTheirDerivatives) {
  for (const Losses& losses : kLosses) {
    const auto num_tasks = static_cast<std::int64_t>(losses.size());
    expect_derivative(*make("si", num_tasks), losses, {}, sum_of_logs);
    expect_derivative(*make("gls", num_tasks), losses, {}, [](const Losses& l) {
      return std::pow(std::accumulate(l.begin(), l.end(), 1.0, std::multiplies<>()),
                      1.0 / static_cast<double>(l.size()));
    });
  }
}

TEST(LossMethods, StchIsTheSmoothMaximumOfRelativeLossesBehindItsWarmUp) {
  for (const Losses& losses : kLosses) {
    const auto num_tasks = static_cast<std::int64_t>(losses.size());
    const double mu = 0.3;
    const auto method = make("stch", num_tasks, [&](auto& section) { section.mu = mu, section.warm_up_epochs = 2; });
    const Losses nadir(losses.size(), 1.7);
    for (const std::int64_t epoch : {0, 1, 2}) {
      expect_derivative(*method, losses, {.epoch = epoch}, sum_of_logs);
      method->end_epoch(epoch, epoch == 2 ? tensor(nadir) : tensor(losses));
    }
    expect_derivative(*method, losses, {.epoch = 3}, [&](const Losses& l) {
      double sum = 0.0;
      for (std::size_t t = 0; t < l.size(); ++t) {
        sum += std::pow(l[t] / nadir[t], 1.0 / mu);
      }
      return static_cast<double>(l.size()) * mu * std::log(sum);
    });
    method->end_epoch(3, tensor(losses));  // which changes it no more
    EXPECT_TRUE(at::equal(method->weights().front().second, tensor(nadir)));
  }
  // At mu = 1 the weights are T / (n_t sum_k L_k / n_k).
  const auto method = make("stch", 2, [](auto& section) { section.warm_up_epochs = 0; });
  method->end_epoch(0, tensor({0.5, 4.0}));
  const at::Tensor weights = method->weigh(tensor({0.7, 2.5}), {.epoch = 1}).weights;
  const double sum = 0.7 / 0.5 + 2.5 / 4.0;
  EXPECT_NEAR(weights[0].item<double>(), 2.0 / (0.5 * sum), 1e-12);
  EXPECT_NEAR(weights[1].item<double>(), 2.0 / (4.0 * sum), 1e-12);
}

TEST(LossMethods, UwSoIsTheSoftmaxOfInverseLosses) {
  for (const Losses& losses : kLosses) {
    const auto method =
        make("uw_so", static_cast<std::int64_t>(losses.size()), [](auto& section) { section.temperature = 1.5; });
    const at::Tensor weights = method->weigh(tensor(losses), {}).weights;
    double sum = 0.0;
    for (const double loss : losses) {
      sum += std::exp(1.0 / (loss + 1e-8) / 1.5);
    }
    for (std::size_t t = 0; t < losses.size(); ++t) {
      EXPECT_NEAR(weights[static_cast<std::int64_t>(t)].item<double>(), std::exp(1.0 / (losses[t] + 1e-8) / 1.5) / sum,
                  1e-12);
    }
  }
}

/// A batch without labels of a task has a loss of 0 for it, whose gradient is 0, too.
TEST(LossMethods, ATaskWithoutALossHasNoWeightAndHarmsNoOther) {
  for (const std::string method : {"si", "gls", "stch", "uw_so"}) {
    const auto of_three = make(method, 3, [](auto& section) { section.warm_up_epochs = 0; });
    const auto of_two = make(method, 2, [](auto& section) { section.warm_up_epochs = 0; });
    of_three->end_epoch(0, tensor({1.0, 2.0, 3.0}));
    of_two->end_epoch(0, tensor({1.0, 3.0}));
    const StepWeights three = of_three->weigh(tensor({0.7, 0.0, 2.5}), {.epoch = 1});
    const StepWeights two = of_two->weigh(tensor({0.7, 2.5}), {.epoch = 1});
    const double tasks = method == "stch" ? 1.5 : 1.0;  // it is T times something
    EXPECT_EQ(three.weights[1].item<double>(), 0.0) << method;
    EXPECT_NEAR(three.weights[0].item<double>(), tasks * two.weights[0].item<double>(), 1e-12) << method;
    EXPECT_NEAR(three.weights[2].item<double>(), tasks * two.weights[1].item<double>(), 1e-12) << method;
    const StepWeights none = of_three->weigh(tensor({0.0, 0.0, 0.0}), {.epoch = 1});
    EXPECT_TRUE(at::isfinite(none.weights).all().item<bool>()) << method;
    EXPECT_TRUE(at::isfinite(none.total).item<bool>()) << method;
  }
}

at::Tensor logits_of(const TaskWeighting& famo) {
  const NamedTensors state = famo.state();
  return std::ranges::find(state, "weighting.logits", &NamedTensors::value_type::first)->second;
}

/// Methods that have values of their own: a step without labels of a task moves none of it.
TEST(LossMethods, ATaskWithoutALossMovesNoValueOfItsOwn) {
  for (const char* word : {"uncertainty", "imtl_l"}) {
    SCOPED_TRACE(word);
    const auto method = make(word, 3);
    method->flat_values().copy_(at::tensor({0.3, -0.2, 0.5}, at::kDouble));
    const at::Tensor total = method->weigh(tensor({0.7, 0.0, 2.0}), {}).total;
    EXPECT_EQ(method->flat_gradients()[1].item<double>(), 0.0);
    EXPECT_NE(method->flat_gradients()[0].item<double>(), 0.0);
    const auto pair = make(word, 2);
    pair->flat_values().copy_(at::tensor({0.3, 0.5}, at::kDouble));
    EXPECT_DOUBLE_EQ(total.item<double>(), pair->weigh(tensor({0.7, 2.0}), {}).total.item<double>());
  }
  const auto moving = [](auto& section) { section.learning_rate = 0.025; };
  const auto famo = make("famo", 3, moving);
  const auto pair = make("famo", 2, moving);
  const at::Tensor weights = famo->weigh(tensor({0.7, 0.0, 2.0}), {}).weights;
  const at::Tensor of_two = pair->weigh(tensor({0.7, 2.0}), {}).weights;
  EXPECT_LT((weights - at::stack({of_two[0], of_two[0] * 0.0, of_two[1]})).abs().max().item<double>(), 1e-12);
  famo->update(0.0, tensor({0.6, 0.0, 1.9}));
  pair->update(0.0, tensor({0.6, 1.9}));
  const at::Tensor logits = logits_of(*famo);
  EXPECT_EQ(logits[1].item<double>(), 0.0);
  EXPECT_NEAR(logits[2].item<double>(), logits_of(*pair)[1].item<double>(), 1e-12);
  EXPECT_NE(logits[2].item<double>(), 0.0);
  EXPECT_EQ(famo->weigh(tensor({0.0, 0.0, 0.0}), {}).weights.abs().max().item<double>(), 0.0);
}

/// GradNorm's means are over the tasks that are there: three of which one has no labels are two.
TEST(LossMethods, GradNormLeavesOutATaskWithoutALoss) {
  const auto weights_after = [](const Losses& losses, const Losses& norms, const Losses& initial) {
    const auto method = make("gradnorm", static_cast<std::int64_t>(losses.size()),
                             [](auto& section) { section.learning_rate = 0.025; });
    method->end_epoch(0, tensor(initial));
    static_cast<void>(method->weigh(tensor(losses), {.epoch = 1}));
    method->see_norms(tensor(norms), tensor(losses));
    method->update(0.0, tensor(losses));
    return method->weigh(tensor(losses), {.epoch = 1}).weights;
  };
  const at::Tensor one = weights_after({0.7, 0.0}, {2.0, 0.0}, {1.0, 2.0});
  EXPECT_TRUE(at::equal(one, at::ones({2}, at::kDouble))) << one;
  const at::Tensor three = weights_after({0.7, 0.0, 2.5}, {2.0, 0.0, 1.0}, {1.0, 2.0, 3.0});
  const at::Tensor two = weights_after({0.7, 2.5}, {2.0, 1.0}, {1.0, 3.0});
  EXPECT_NE(two[0].item<double>(), two[1].item<double>());
  EXPECT_NEAR((three[0] / three[2]).item<double>(), (two[0] / two[1]).item<double>(), 1e-12);
}

TEST(LossMethods, RlwDrawsFromThreeDistributions) {
  for (const auto distribution : {config::WeightDistribution::normal, config::WeightDistribution::dirichlet,
                                  config::WeightDistribution::uniform}) {
    const auto method = make("rlw", 3, [&](auto& section) { section.distribution = distribution; });
    at::Tensor sum = at::zeros({3}, at::kDouble);
    at::Tensor squares = at::zeros({3}, at::kDouble);
    constexpr int kSteps = 4000;
    for (std::int64_t step = 0; step < kSteps; ++step) {
      const at::Tensor weights = method->weigh(tensor({1.0, 1.0, 1.0}), {.step = step}).weights;
      EXPECT_NEAR(weights.sum().item<double>(), 1.0, 1e-12);
      EXPECT_GE(weights.min().item<double>(), 0.0);
      sum += weights;
      squares += weights * weights;
    }
    const at::Tensor mean = sum / kSteps;
    EXPECT_LT((mean - 1.0 / 3.0).abs().max().item<double>(), 0.02) << config::name(distribution);
    if (distribution == config::WeightDistribution::dirichlet) {  // variance of Dirichlet(1, 1, 1): 1/18
      EXPECT_LT((squares / kSteps - mean * mean - 1.0 / 18.0).abs().max().item<double>(), 0.005);
    }
  }
}

}  // namespace
}  // namespace xtasc::weighting
