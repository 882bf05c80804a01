#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/random.hpp"
#include "weighting/methods.hpp"
#include "weighting/simplex.hpp"
#include "weighting/symmetric.hpp"
#include "weighting/task_order.hpp"
#include "weighting/vectors.hpp"

// The field's methods on gradients against a second computation: by definition, by search, in closed form, with whole
// vectors; for two, three and more tasks.
namespace xtasc::weighting {
namespace {

using test::length;
using test::product;

at::Tensor gram_of(const at::Tensor& g) {
  return at::matmul(g, g.t());
}

std::vector<at::Tensor> sets_of_gradients() {
  std::vector<at::Tensor> sets;
  const at::Generator generator = at::detail::createCPUGenerator(8);
  for (const std::int64_t num_tasks : {2, 3, 7}) {
    for (int i = 0; i < 8; ++i) {
      at::Tensor g = at::randn({num_tasks, 20}, generator, at::kDouble);
      g = g * at::exp(at::randn({num_tasks, 1}, generator, at::kDouble)) - 0.25 * i * g[0];
      sets.push_back(g);
    }
  }
  return sets;
}

/// Some of which depend on each other, oppose each other, or vanish.
std::vector<at::Tensor> awkward_sets() {
  std::vector<at::Tensor> sets;
  const at::Generator generator = at::detail::createCPUGenerator(4);
  for (const std::int64_t num_tasks : {2, 3, 5}) {
    const at::Tensor g = at::randn({num_tasks, 20}, generator, at::kDouble);
    at::Tensor with_zero = g.clone();
    with_zero[1].zero_();
    at::Tensor opposed = g.clone();
    opposed[1].copy_(-2.0 * opposed[0]);
    at::Tensor parallel = g.clone();
    parallel[1].copy_(3.0 * parallel[0]);
    for (const at::Tensor& one : {with_zero, opposed, parallel, at::zeros_like(g), 1e-25 * g, 1e20 * g}) {
      sets.push_back(one);
    }
  }
  return sets;
}

TEST(FieldMethods, FairgradSolvesItsEquation) {
  for (const at::Tensor& g : sets_of_gradients()) {
    const at::Tensor gram = gram_of(g);
    for (const double alpha : {0.5, 1.0, 2.0, 5.0}) {
      const at::Tensor w = fairgrad_factors(gram, alpha);
      EXPECT_GT(w.min().item<double>(), 0.0);
      const at::Tensor right = w.pow(-1.0 / alpha);
      EXPECT_LT(((at::mv(gram, w) - right) / right).abs().max().item<double>(), 1e-9) << g.size(0) << " " << alpha;
    }
  }
  EXPECT_TRUE(at::equal(fairgrad_factors(gram_of(sets_of_gradients()[0]), 0.0), at::ones({2}, at::kDouble)));
}

TEST(FieldMethods, FairgradAndNashOfTwoAreTheirClosedForms) {
  for (const at::Tensor& g : sets_of_gradients()) {
    if (g.size(0) != 2) {
      continue;
    }
    const at::Tensor gram = gram_of(g);
    const double a = gram[0][0].item<double>();
    const double b = gram[0][1].item<double>();
    const double d = gram[1][1].item<double>();
    const double cosine = b / std::sqrt(a * d);
    const at::Tensor nash = fairgrad_factors(gram, 1.0);
    EXPECT_NEAR(nash[0].item<double>() * std::sqrt(a * (1.0 + cosine)), 1.0, 1e-9);
    EXPECT_NEAR(nash[1].item<double>() * std::sqrt(d * (1.0 + cosine)), 1.0, 1e-9);
    EXPECT_NEAR(length(at::mv(g.t(), nash)), std::sqrt(2.0), 1e-9);
    // rho = log(w_2 / w_1) is the root of an increasing function.
    const double alpha = 2.0;
    double low = b < 0.0 ? std::log(-b / d) : -60.0;
    double high = b < 0.0 ? std::log(-a / b) : 60.0;
    for (int i = 0; i < 200; ++i) {
      const double rho = 0.5 * (low + high);
      const double f = std::log(b + d * std::exp(rho)) - std::log(a + b * std::exp(rho)) + rho / alpha;
      (f > 0.0 ? high : low) = rho;
    }
    const double w1 = std::pow(a + b * std::exp(low), -alpha / (1.0 + alpha));
    const at::Tensor found = fairgrad_factors(gram, alpha);
    EXPECT_NEAR(found[0].item<double>() / w1, 1.0, 1e-9);
    EXPECT_NEAR(found[1].item<double>() / (w1 * std::exp(low)), 1.0, 1e-9);
  }
}

/// By its definition, with LAPACK's eigenvectors: B = sqrt(l_min) V l^(-1/2) V^T.
TEST(FieldMethods, AlignedIsItsDefinition) {
  for (const at::Tensor& g : sets_of_gradients()) {
    const at::Tensor gram = gram_of(g);
    const auto [values, vectors] = at::linalg_eigh(gram);
    const at::Tensor b = values[0].sqrt() * at::matmul(vectors, at::matmul(at::diag(values.rsqrt()), vectors.t()));
    const at::Tensor expected = b.sum(1);
    EXPECT_LT(length(aligned_factors(gram) - expected), 1e-8 * length(expected)) << g.size(0);
    // The rows of what is summed are orthogonal and of one length.
    const at::Tensor aligned = at::matmul(b, g);
    const at::Tensor products = gram_of(aligned) / values[0];
    EXPECT_LT((products - at::eye(g.size(0), at::kDouble)).abs().max().item<double>(), 1e-6);
  }
  // Gradients of one direction: v (v . 1).
  at::Tensor parallel = at::zeros({3, 4}, at::kDouble);
  parallel.select(1, 0).copy_(at::tensor({1.0, 2.0, -0.5}, at::kDouble));
  const at::Tensor v = parallel.select(1, 0) / length(parallel);
  EXPECT_LT(length(aligned_factors(gram_of(parallel)) - v * v.sum()), 1e-12);
  const at::Tensor two = parallel.narrow(0, 0, 2);
  const at::Tensor v2 = two.select(1, 0) / length(two);
  EXPECT_LT(length(aligned_factors(gram_of(two)) - v2 * v2.sum()), 1e-12);
}

TEST(FieldMethods, EigenvaluesAreLapacks) {
  for (const at::Tensor& g : sets_of_gradients()) {
    const at::Tensor gram = gram_of(g);
    const auto [values, vectors] = eigen_of_symmetric(gram);
    const at::Tensor expected = std::get<0>(at::linalg_eigh(gram));
    EXPECT_LT((std::get<0>(values.sort()) - expected).abs().max().item<double>(),
              1e-12 * expected.max().item<double>());
    const at::Tensor again = at::matmul(vectors * values, vectors.t());
    EXPECT_LT(length(again - gram), 1e-12 * length(gram));
  }
}

/// With the vectors: a gradient that is less similar to another than aimed at gets the cosine that is aimed at.
TEST(FieldMethods, GradvacTurnsGradientsToTheCosinesAimedAt) {
  int fired = 0;
  for (const at::Tensor& g : sets_of_gradients()) {
    const std::int64_t num_tasks = g.size(0);
    at::Tensor targets = at::full({num_tasks, num_tasks}, 0.2, at::kDouble);
    at::Tensor expected_targets = targets.clone();
    RandomStream stream(1, Purpose::task_order, 0, 5);
    RandomStream again(1, Purpose::task_order, 0, 5);
    const double beta = 0.3;
    const at::Tensor found = at::mv(g.t(), gradvac_factors(gram_of(g), targets, beta, stream));
    at::Tensor expected = at::zeros_like(g[0]);
    for (std::int64_t i = 0; i < num_tasks; ++i) {
      at::Tensor mine = g[i];
      for (const std::int64_t j : order_of_others(i, num_tasks, again)) {
        const double cosine = product(mine, g[j]) / (length(mine) * length(g[j]));
        const double target = expected_targets[i][j].item<double>();
        if (cosine < target) {
          const at::Tensor across = mine - g[j] * (product(mine, g[j]) / product(g[j], g[j]));
          const double along = target / std::sqrt(1.0 - target * target) * length(across);
          mine = across + along * g[j] / length(g[j]);
          // What is across keeps its length in the formula, too, so only the direction is compared.
          EXPECT_NEAR(product(mine, g[j]) / (length(mine) * length(g[j])), target, 1e-12);
          ++fired;
        }
        expected_targets[i][j].add_(beta * (cosine - target));
      }
      expected += mine;
    }
    EXPECT_LT(length(found - expected), 1e-9 * g.norm().item<double>());
    EXPECT_LT((targets - expected_targets).abs().max().item<double>(), 1e-9);
  }
  EXPECT_GT(fired, 20);
}

TEST(FieldMethods, GradvacWithoutATargetIsPcgrad) {
  for (const at::Tensor& g : sets_of_gradients()) {
    RandomStream stream(3, Purpose::task_order, 0, 8);
    const at::Tensor gram = gram_of(g);
    const at::Tensor none = at::zeros_like(gram);
    EXPECT_LT(length(gradvac_factors(gram, none, 0.0, stream) - pcgrad_factors(gram, 3, 8)), 1e-9);
  }
}

TEST(FieldMethods, UpgradProjectsOntoTheDualCone) {
  const at::Generator generator = at::detail::createCPUGenerator(2);
  for (const at::Tensor& g : sets_of_gradients()) {
    const std::int64_t num_tasks = g.size(0);
    const at::Tensor gram = gram_of(g);
    at::Tensor sum = at::zeros({num_tasks}, at::kDouble);
    for (std::int64_t task = 0; task < num_tasks; ++task) {
      const at::Tensor v = smallest_quadratic_above(gram, task);
      EXPECT_GE(v[task].item<double>(), 1.0 - 1e-9);
      EXPECT_GE(v.min().item<double>(), 0.0);
      const at::Tensor projected = at::mv(g.t(), v);
      const double scale = g.square().sum().item<double>();
      EXPECT_GE(at::mv(g, projected).min().item<double>(), -1e-9 * scale);  // no conflict is left
      for (int i = 0; i < 200; ++i) {                                       // and no other such vector is nearer
        at::Tensor other = at::rand({num_tasks}, generator, at::kDouble).pow(4) * (i % 2 == 0 ? 1.0 : 1e-2);
        other = at::eye(num_tasks, at::kDouble)[task] + (v - at::eye(num_tasks, at::kDouble)[task]) * 0.9 + 0.2 * other;
        EXPECT_GE(at::mv(g.t(), other).square().sum().item<double>(),
                  projected.square().sum().item<double>() - 1e-9 * scale);
      }
      sum += v;
    }
    EXPECT_LT(length(upgrad_factors(gram) - sum / static_cast<double>(num_tasks)), 1e-8 * length(sum));
    if (num_tasks == 2) {
      EXPECT_LT(length(upgrad_factors(gram) - 0.5 * pcgrad_factors(gram, 1, 0)), 1e-12);
    }
  }
}

TEST(FieldMethods, NearestOfTheSimplex) {
  const at::Generator generator = at::detail::createCPUGenerator(3);
  for (const std::int64_t num_tasks : {2, 3, 6}) {
    for (int i = 0; i < 20; ++i) {
      const at::Tensor y = 2.0 * at::randn({num_tasks}, generator, at::kDouble);
      const at::Tensor x = nearest_of_simplex(y);
      EXPECT_NEAR(x.sum().item<double>(), 1.0, 1e-12);
      EXPECT_GE(x.min().item<double>(), 0.0);
      for (int k = 0; k < 100; ++k) {
        const at::Tensor raw = at::rand({num_tasks}, generator, at::kDouble).pow(4);
        const at::Tensor other = 0.5 * x + 0.5 * raw / raw.sum();
        EXPECT_GE(length(y - other), length(y - x) - 1e-12);
      }
    }
  }
}

/// By plain numbers, and two tasks' projection in closed form; the second call goes on from the first one's shares.
TEST(FieldMethods, SdmgradDescendsOnTheSimplex) {
  const double lambda = 0.3;
  const double rate = 10.0;
  for (const at::Tensor& g : sets_of_gradients()) {
    if (g.size(0) != 2) {
      continue;
    }
    const double scale = 0.5 * (length(g[0]) + length(g[1]));
    const double a = product(g[0], g[0]) / (scale * scale);
    const double b = product(g[0], g[1]) / (scale * scale);
    const double d = product(g[1], g[1]) / (scale * scale);
    at::Tensor shares = at::full({2}, 0.5, at::kDouble);
    double w = 0.5;
    for (int call = 0; call < 2; ++call) {
      const at::Tensor found = sdmgrad_factors(gram_of(g), shares, lambda, rate);
      double v1 = 0.0;
      double v2 = 0.0;
      for (int i = 0; i < 20; ++i) {
        v1 = 0.5 * v1 + a * w + b * (1.0 - w) + lambda * 0.5 * (a + b);
        v2 = 0.5 * v2 + b * w + d * (1.0 - w) + lambda * 0.5 * (b + d);
        const double y1 = w - rate * v1;
        const double y2 = 1.0 - w - rate * v2;
        w = std::clamp(0.5 * (1.0 + y1 - y2), 0.0, 1.0);
      }
      EXPECT_NEAR(found[0].item<double>(), 2.0 * (w + 0.5 * lambda) / (1.0 + lambda), 1e-9);
      EXPECT_NEAR(found.sum().item<double>(), 2.0, 1e-9);
      EXPECT_NEAR(shares[0].item<double>(), w, 1e-9);
    }
  }
}

TEST(FieldMethods, NoneGivesNanForAwkwardGradients) {
  for (const at::Tensor& g : awkward_sets()) {
    const at::Tensor gram = gram_of(g);
    at::Tensor targets = at::full_like(gram, 0.3);
    at::Tensor shares = at::full({g.size(0)}, 1.0 / static_cast<double>(g.size(0)), at::kDouble);
    RandomStream stream(1, Purpose::task_order, 0, 0);
    const std::vector<std::pair<const char*, at::Tensor>> all = {
        {"fairgrad", fairgrad_factors(gram, 2.0)}, {"nash", fairgrad_factors(gram, 1.0)},
        {"aligned", aligned_factors(gram)},        {"gradvac", gradvac_factors(gram, targets, 0.5, stream)},
        {"upgrad", upgrad_factors(gram)},          {"sdmgrad", sdmgrad_factors(gram, shares, 0.3, 10.0)},
        {"db_mtl", db_mtl_factors(gram)}};
    for (const auto& [name, factors] : all) {
      EXPECT_TRUE(at::isfinite(factors).all().item<bool>()) << name << " of " << gram << ": " << factors;
    }
    EXPECT_TRUE(at::isfinite(targets).all().item<bool>());
  }
}

}  // namespace
}  // namespace xtasc::weighting
