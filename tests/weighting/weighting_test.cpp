#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "config/run_config.hpp"
#include "core/error.hpp"
#include "core/random.hpp"
#include "weighting/methods.hpp"
#include "weighting/simplex.hpp"
#include "weighting/vectors.hpp"

// Each method against a second computation: with the gradients' vectors instead of their dot products, by search
// instead of in closed form, by finite differences instead of a derivative.
namespace xtasc::weighting {
namespace {

using Pair = std::array<double, 2>;

at::Tensor tensor(const Pair& values) {
  return at::tensor({values[0], values[1]}, at::kDouble);
}

Pair pair(const at::Tensor& t) {
  return {t[0].item<double>(), t[1].item<double>()};
}

using test::length;
using test::product;

at::Tensor gram_of(const at::Tensor& g1, const at::Tensor& g2) {
  const at::Tensor both = (g1 * g2).sum();
  return at::stack({at::stack({(g1 * g1).sum(), both}), at::stack({both, (g2 * g2).sum()})});
}

at::Tensor combined(const at::Tensor& factors, const at::Tensor& g1, const at::Tensor& g2) {
  return factors[0] * g1 + factors[1] * g2;
}

/// Minimum of a convex function of one number in [0, 1], by a grid that closes in on it.
double minimum_by_grid(const std::function<double(double)>& f) {
  double low = 0.0;
  double high = 1.0;
  constexpr int kSteps = 100;
  for (int round = 0; round < 5; ++round) {
    const double step = (high - low) / kSteps;
    int best = 0;
    for (int i = 1; i <= kSteps; ++i) {
      best = f(low + i * step) < f(low + best * step) ? i : best;
    }
    const double centre = low + best * step;
    low = std::max(0.0, centre - step);
    high = std::min(1.0, centre + step);
  }
  return 0.5 * (low + high);
}

std::unique_ptr<TaskWeighting> make(std::vector<std::string> assignments) {
  const auto config = config::run_config_of(assignments);
  return make_task_weighting({.section = config.weighting, .seed = 3, .tensors = at::kDouble});
}

at::Tensor named(const NamedTensors& tensors, const std::string& name) {
  for (const auto& [found, tensor] : tensors) {
    if (found == name) {
      return tensor;
    }
  }
  ADD_FAILURE() << "no tensor " << name;
  return {};
}

/// Adam's first moment after one step is a tenth of the gradient.
Pair gradient_seen_by_adam(const TaskWeighting& weighting) {
  return pair(10.0 * named(weighting.state(), "adam.weighting.first_moment"));
}

struct Gradients {
  const char* name;
  double cosine;      ///< between g_1 and g_2
  double norm_ratio;  ///< |g_2| / |g_1|
};

class OfGradients : public testing::TestWithParam<Gradients> {
 protected:
  OfGradients() {
    RandomStream stream(1, Purpose::synthetic_input, 0, 0);
    at::Tensor across = at::empty({40}, at::kDouble);
    for (std::int64_t i = 0; i < 40; ++i) {
      g1[i].fill_(stream.normal());
      across[i].fill_(stream.normal());
    }
    across -= g1 * (product(g1, across) / product(g1, g1));
    across *= length(g1) / length(across);
    const auto [name, cosine, ratio] = GetParam();
    g2 = ratio * (cosine * g1 + std::sqrt(1.0 - cosine * cosine) * across);
  }

  at::Tensor g1 = at::empty({40}, at::kDouble);
  at::Tensor g2;
  at::Tensor gram() const { return gram_of(g1, g2); }
};

TEST_P(OfGradients, PcgradProjectsConflictsAway) {
  const auto without_conflict = [](const at::Tensor& g, const at::Tensor& other) {
    const double conflict = std::min(0.0, product(g, other));
    return g - other * (conflict / std::max(product(other, other), 1e-300));
  };
  const at::Tensor expected = without_conflict(g1, g2) + without_conflict(g2, g1);
  const at::Tensor found = combined(pcgrad_factors(gram(), 1, 0), g1, g2);
  EXPECT_LT(length(found - expected), 1e-12 * (length(g1) + length(g2)));
}

TEST_P(OfGradients, CagradFindsTheMinimumOfItsDual) {
  const at::Tensor g0 = 0.5 * (g1 + g2);
  for (const double c : {0.0, 0.2, 0.4, 0.9}) {
    const auto mixture = [&](double x) { return x * g1 + (1.0 - x) * g2; };
    const auto dual = [&](double x) { return product(mixture(x), g0) + c * length(g0) * length(mixture(x)); };
    const double x = minimum_by_grid(dual);
    const at::Tensor gw = mixture(x);
    const bool opposed = length(gw) < 1e-6 * (length(g1) + length(g2));
    const at::Tensor pulled = opposed ? g0 : g0 + gw * (c * length(g0) / length(gw));
    for (const std::int64_t rescale : {0, 1, 2}) {
      const double divisor = rescale == 0 ? 1.0 : rescale == 1 ? 1.0 + c * c : 1.0 + c;
      const at::Tensor found = combined(cagrad_factors(gram(), c, rescale), g1, g2);
      // A grid finds the place of a flat minimum to the root of the rounding only.
      EXPECT_LT(length(found - 2.0 * pulled / divisor), 1e-6 * (length(g1) + length(g2))) << c << " " << rescale;
    }
  }
}

TEST_P(OfGradients, MgdaFindsTheShortestMixture) {
  const Pair losses = {0.7, 2.5};
  using enum config::GradientNormalisation;
  for (const auto normalisation : {none, l2, loss, loss_and_l2}) {
    const bool by_norm = normalisation == l2 || normalisation == loss_and_l2;
    const bool by_loss = normalisation == loss || normalisation == loss_and_l2;
    const auto scaled = [&](const at::Tensor& g, double l) {
      const double divisor = (by_norm ? length(g) : 1.0) * (by_loss ? l : 1.0);
      return divisor > 0.0 ? g / divisor : g;
    };
    const at::Tensor h1 = scaled(g1, losses[0]);
    const at::Tensor h2 = scaled(g2, losses[1]);
    const double x = minimum_by_grid([&](double y) { return length(y * h1 + (1.0 - y) * h2); });
    const at::Tensor found = combined(mgda_factors(gram(), tensor(losses), normalisation), g1, g2);
    EXPECT_LT(length(found - (x * h1 + (1.0 - x) * h2)), 1e-6 * (length(h1) + length(h2)))
        << config::name(normalisation);
    // No task's loss rises along the shortest mixture.
    EXPECT_GT(product(found, g1), -1e-9 * length(g1) * (length(h1) + length(h2)));
    EXPECT_GT(product(found, g2), -1e-9 * length(g2) * (length(h1) + length(h2)));
  }
}

TEST_P(OfGradients, ImtlGProjectsEquallyOnBoth) {
  const at::Tensor factors = imtl_g_factors(gram());
  EXPECT_NEAR(factors.sum().item<double>(), 1.0, 1e-12);
  const at::Tensor u1 = g1 / length(g1);
  const at::Tensor u2 = g2 / length(g2);
  const at::Tensor found = combined(factors, g1, g2);
  EXPECT_NEAR(product(found, u1), product(found, u2), 1e-9 * length(g1));
  if (length(u1 - u2) > 1e-3) {  // the paper's own formula divides by it
    const double a2 = product(g1, u1 - u2) / product(g1 - g2, u1 - u2);
    EXPECT_NEAR(factors[1].item<double>(), a2, 1e-9);
  }
}

INSTANTIATE_TEST_SUITE_P(All, OfGradients,
                         testing::Values(Gradients{"aligned", 0.8, 1.5}, Gradients{"orthogonal", 0.0, 1.0},
                                         Gradients{"conflicting", -0.6, 0.7}, Gradients{"opposing", -0.99, 1.2},
                                         Gradients{"conflicting_unequal", -0.3, 50.0},
                                         Gradients{"aligned_unequal", 0.3, 0.01}, Gradients{"parallel", 1.0, 3.0},
                                         Gradients{"opposite", -1.0, 2.0}, Gradients{"equal", 1.0, 1.0},
                                         Gradients{"cancelling", -1.0, 1.0}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(OfZeroGradients, NoMethodGivesNan) {
  const at::Tensor g = at::arange(5, at::kDouble);
  const at::Tensor zero = at::zeros({5}, at::kDouble);
  for (const auto& [g1, g2] : {std::pair{g, zero}, {zero, g}, {zero, zero}, {g, -g}, {g, g}, {1e-25 * g, -1e-25 * g}}) {
    const at::Tensor gram = gram_of(g1, g2);
    const at::Tensor losses = tensor({0.0, 1.0});
    for (const at::Tensor& factors : {pcgrad_factors(gram, 1, 0), cagrad_factors(gram, 0.4, 1), imtl_g_factors(gram),
                                      mgda_factors(gram, losses, config::GradientNormalisation::none),
                                      mgda_factors(gram, losses, config::GradientNormalisation::l2),
                                      mgda_factors(gram, losses, config::GradientNormalisation::loss_and_l2)}) {
      EXPECT_TRUE(at::isfinite(factors).all().item<bool>()) << factors;
    }
  }
}

TEST(OfGradientsWithoutConflict, PcgradAndCagradAtZeroAreEqual) {
  const at::Tensor gram = gram_of(tensor({1.0, 2.0}), tensor({2.0, 0.5}));
  EXPECT_TRUE(at::equal(pcgrad_factors(gram, 1, 0), at::ones({2}, at::kDouble)));
  EXPECT_TRUE(at::allclose(cagrad_factors(gram, 0.0, 1), at::ones({2}, at::kDouble)));
}

/// d total / d L_t is the weight, and d total / d s_t the gradient that the optimizer gets.
void check_derivatives_of_total(TaskWeighting& weighting, const at::Tensor& values) {
  constexpr double kStep = 1e-6;
  values.copy_(tensor({0.3, -0.8}));
  const at::Tensor losses = tensor({0.9, 2.2});
  const auto total = [&] { return weighting.weigh(losses, {}).total.item<double>(); };
  const Pair weights = pair(weighting.weigh(losses, {}).weights);
  const Pair gradients = pair(weighting.flat_gradients());
  for (std::int64_t t = 0; t < 2; ++t) {
    for (const auto& [moved, expected] : {std::pair{losses, weights}, {values, gradients}}) {
      moved[t] += kStep;
      const double above = total();
      moved[t] -= 2.0 * kStep;
      const double below = total();
      moved[t] += kStep;
      EXPECT_NEAR((above - below) / (2.0 * kStep), expected[static_cast<std::size_t>(t)], 1e-8) << t;
    }
  }
}

TEST(Uncertainty, DerivativesByFiniteDifferences) {
  for (const char* regulariser : {"1.0", "0.5"}) {
    const auto weighting = make({"weighting.method=uncertainty", std::string("weighting.regulariser=") + regulariser});
    check_derivatives_of_total(*weighting, named(weighting->weights(), "weighting.log_variance"));
  }
}

TEST(Uncertainty, RestsWhereTheRegulariserSays) {
  // Weight 0.5 exp(-s) with exp(s) = L / (2 r): 1 / L for r = 1, 1 / (2 L) for 0.5.
  for (const double regulariser : {1.0, 0.5}) {
    const auto weighting = make({"weighting.method=uncertainty", "weighting.learning_rate=0.05",
                                 "weighting.regulariser=" + std::to_string(regulariser)});
    const at::Tensor losses = tensor({0.2, 3.0});
    for (int i = 0; i < 2000; ++i) {
      static_cast<void>(weighting->weigh(losses, {}));
      weighting->update(1e-9, {});
    }
    const at::Tensor weights = weighting->weigh(losses, {}).weights;
    EXPECT_NEAR(weights[0].item<double>(), regulariser / 0.2, 1e-3);
    EXPECT_NEAR(weights[1].item<double>(), regulariser / 3.0, 1e-3);
  }
}

TEST(ImtlL, DerivativesByFiniteDifferences) {
  const auto weighting = make({"weighting.method=imtl_l"});
  check_derivatives_of_total(*weighting, named(weighting->state(), "weighting.log_scale"));
}

TEST(GradNorm, GradientByFiniteDifferences) {
  constexpr double kAlpha = 0.7;
  constexpr double kStep = 1e-7;
  const Pair start = {1.3, 0.7};
  const Pair initial = {2.0, 0.5};
  const Pair losses = {1.1, 0.4};
  for (const Pair norms : {Pair{0.4, 0.9}, Pair{3.0, 0.1}}) {  // of the unweighted losses
    const auto weighting =
        make({"weighting.method=gradnorm", "weighting.alpha=" + std::to_string(kAlpha), "weighting.learning_rate=0.1"});
    named(weighting->state(), "weighting.weights").copy_(tensor(start));
    weighting->end_epoch(0, tensor(initial));
    weighting->end_epoch(1, tensor({9.0, 9.0}));  // only the first epoch's count
    EXPECT_EQ(pair(weighting->weigh(tensor(losses), {.epoch = 1, .step = 10}).weights), start);

    const double mean = 0.5 * (start[0] * norms[0] + start[1] * norms[1]);
    const double mean_rate = 0.5 * (losses[0] / initial[0] + losses[1] / initial[1]);
    const auto imbalance = [&](const Pair& w) {
      double sum = 0.0;
      for (std::size_t t = 0; t < 2; ++t) {
        const double target = mean * std::pow(losses[t] / initial[t] / mean_rate, kAlpha);  // at `start`: held constant
        sum += std::abs(w[t] * norms[t] - target);
      }
      return sum;
    };
    weighting->see_norms(tensor({start[0] * norms[0], start[1] * norms[1]}), tensor(losses));
    weighting->update(1e-3, {});
    const Pair gradient = gradient_seen_by_adam(*weighting);
    for (std::size_t t = 0; t < 2; ++t) {
      Pair above = start;
      Pair below = start;
      above[t] += kStep;
      below[t] -= kStep;
      EXPECT_NEAR((imbalance(above) - imbalance(below)) / (2.0 * kStep), gradient[t], 1e-6);
    }
    // The first step of Adam is the learning rate against the gradient's sign; then the weights are scaled to sum 2.
    Pair expected = {start[0] - std::copysign(0.1, gradient[0]), start[1] - std::copysign(0.1, gradient[1])};
    const double sum = expected[0] + expected[1];
    const Pair found = pair(named(weighting->state(), "weighting.weights"));
    EXPECT_NEAR(found[0], 2.0 * expected[0] / sum, 1e-6);
    EXPECT_NEAR(found[1], 2.0 * expected[1] / sum, 1e-6);
  }
}

TEST(GradNorm, WaitsForTheFirstEpochAndStaysPositive) {
  const auto weighting = make({"weighting.method=gradnorm", "weighting.learning_rate=0.5"});
  for (std::int64_t step = 0; step < 30; ++step) {
    const std::int64_t epoch = step / 10;
    const Pair weights = pair(weighting->weigh(tensor({1.0, 1.0}), {epoch, step}).weights);
    if (epoch == 0) {
      EXPECT_EQ(weights, (Pair{1.0, 1.0}));
    }
    EXPECT_GT(weights[0], 0.0);
    EXPECT_NEAR(weights[0] + weights[1], 2.0, 1e-12);
    weighting->see_norms(tensor({100.0 * weights[0], weights[1]}), tensor({1.0, 1.0}));
    weighting->update(1e-3, {});
    if (step == 9) {
      weighting->end_epoch(0, tensor({1.0, 1.0}));
    }
  }
  EXPECT_LT(pair(named(weighting->state(), "weighting.weights"))[0], 0.1);  // 100 times the norm: a small weight
}

TEST(Dwa, FollowsTheLastTwoEpochs) {
  const auto weighting = make({"weighting.method=dwa", "weighting.temperature=0.5"});
  const Pair epochs[] = {{2.0, 1.0}, {1.0, 0.9}, {0.7, 0.9}};
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
    Pair expected = {1.0, 1.0};
    if (epoch >= 2) {
      const Pair& last = epochs[epoch - 1];
      const Pair& before = epochs[epoch - 2];
      const double seg = std::exp(last[0] / before[0] / 0.5);
      const double depth = std::exp(last[1] / before[1] / 0.5);
      expected = {2.0 * seg / (seg + depth), 2.0 * depth / (seg + depth)};
    }
    const StepWeights found = weighting->weigh(tensor({3.0, 5.0}), {.epoch = epoch, .step = 0});
    EXPECT_NEAR(found.weights[0].item<double>(), expected[0], 1e-12) << epoch;
    EXPECT_NEAR(found.weights[1].item<double>(), expected[1], 1e-12) << epoch;
    EXPECT_NEAR(found.total.item<double>(), 3.0 * expected[0] + 5.0 * expected[1], 1e-12);
    if (epoch < 3) {
      weighting->end_epoch(epoch, tensor(epochs[epoch]));
    }
  }
}

TEST(Rlw, DrawsByStepAlone) {
  const auto weighting = make({"weighting.method=rlw"});
  const auto again = make({"weighting.method=rlw"});
  const at::Tensor losses = tensor({1.0, 1.0});
  constexpr int kDraws = 4000;
  double sum = 0.0;
  double logit_squares = 0.0;
  for (std::int64_t step = kDraws - 1; step >= 0; --step) {
    const Pair w = pair(weighting->weigh(losses, {.epoch = 0, .step = step}).weights);
    EXPECT_NEAR(w[0] + w[1], 1.0, 1e-12);
    sum += w[0];
    logit_squares += std::pow(std::log(w[0] / w[1]), 2);
    if (step % 1000 == 0) {
      EXPECT_EQ(w, pair(again->weigh(losses, {.epoch = 7, .step = step}).weights));
      EXPECT_NE(w, pair(again->weigh(losses, {.epoch = 7, .step = step + 1}).weights));
    }
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.02);
  EXPECT_NEAR(logit_squares / kDraws, 2.0, 0.15);  // the difference of two standard normals
}

TEST(Famo, WeightsAndLogitsByFiniteDifferences) {
  constexpr double kStep = 1e-6;
  constexpr double kDecay = 0.3;
  const auto weighting = make({"weighting.method=famo", "weighting.weight_decay=" + std::to_string(kDecay)});
  const at::Tensor logits = named(weighting->state(), "weighting.logits");
  const Pair start = {0.4, -0.2};
  logits.copy_(tensor(start));
  const Pair losses = {0.8, 2.5};
  const Pair after = {0.7, 2.45};
  const auto shares = [](const Pair& xi) {
    const double seg = 1.0 / (1.0 + std::exp(xi[1] - xi[0]));
    return Pair{seg, 1.0 - seg};
  };
  const Pair z = shares(start);
  const double normaliser = 1.0 / (z[0] / losses[0] + z[1] / losses[1]);
  const auto objective = [&](const Pair& l) { return normaliser * (z[0] * std::log(l[0]) + z[1] * std::log(l[1])); };
  const StepWeights found = weighting->weigh(tensor(losses), {});
  EXPECT_NEAR(found.total.item<double>(), objective(losses), 1e-6);

  const auto gain = [&](const Pair& xi) {
    const Pair s = shares(xi);
    return s[0] * std::log(losses[0] / after[0]) + s[1] * std::log(losses[1] / after[1]);
  };
  weighting->update(1e-9, tensor(after));
  const Pair gradient = gradient_seen_by_adam(*weighting);
  for (std::size_t t = 0; t < 2; ++t) {
    const auto moved = [t](Pair p, double by) {
      p[t] += by;
      return p;
    };
    EXPECT_NEAR((objective(moved(losses, kStep)) - objective(moved(losses, -kStep))) / (2.0 * kStep),
                pair(found.weights)[t], 1e-6);
    EXPECT_NEAR((gain(moved(start, kStep)) - gain(moved(start, -kStep))) / (2.0 * kStep) + kDecay * start[t],
                gradient[t], 1e-6);
    EXPECT_NEAR(logits[static_cast<std::int64_t>(t)].item<double>(), start[t] - std::copysign(0.025, gradient[t]),
                1e-6);
  }
}

}  // namespace
}  // namespace xtasc::weighting
