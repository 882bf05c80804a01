#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/error.hpp"
#include "weighting/methods.hpp"
#include "weighting/simplex.hpp"
#include "weighting/vectors.hpp"

// The factors of three and more gradients against a second computation: by search, in every order, by definition.
namespace xtasc::weighting {
namespace {

using test::length;
using test::product;

/// Several gradients of which some oppose each other, some lie in the span of the others, one may be zero.
std::vector<at::Tensor> sets_of_gradients() {
  std::vector<at::Tensor> sets;
  const at::Generator generator = at::detail::createCPUGenerator(5);
  for (const std::int64_t num_tasks : {3, 4, 6}) {
    for (int i = 0; i < 4; ++i) {
      at::Tensor g = at::randn({num_tasks, 30}, generator, at::kDouble);
      g = g * at::exp(at::randn({num_tasks, 1}, generator, at::kDouble)) -
          0.6 * i * g[0];  // from g_0's side to its back
      sets.push_back(g);
    }
    at::Tensor dependent = at::randn({num_tasks, 30}, generator, at::kDouble);
    dependent[1].copy_(dependent[0]);
    dependent[2].copy_(-0.5 * dependent[0]);
    sets.push_back(dependent);
    at::Tensor with_zero = at::randn({num_tasks, 30}, generator, at::kDouble);
    with_zero[1].zero_();
    sets.push_back(with_zero);
  }
  return sets;
}

/// No point of the simplex is better, nor any of many small moves from the one that was found.
/// \param taking_part_t  0 for those that have no share in any point
void expect_smallest(const at::Tensor& found, const std::function<double(const at::Tensor&)>& value, double scale,
                     const at::Tensor& taking_part_t) {
  EXPECT_NEAR(found.sum().item<double>(), 1.0, 1e-12);
  EXPECT_GE(found.min().item<double>(), 0.0);
  const double smallest = value(found);
  const at::Generator generator = at::detail::createCPUGenerator(6);
  for (const double reach : {1.0, 0.1, 1e-3}) {
    for (int i = 0; i < 300; ++i) {
      const at::Tensor raw = at::rand(found.sizes(), generator, at::kDouble).pow(4) * taking_part_t;
      const at::Tensor other = (1.0 - reach) * found + reach * raw / raw.sum();
      EXPECT_GE(value(other), smallest - 1e-10 * scale) << found << " against " << other;
    }
  }
}

TEST(OfManyGradients, MgdaAndCagradFindTheSmallestOfTheSimplex) {
  for (const at::Tensor& g : sets_of_gradients()) {
    const at::Tensor gram = at::matmul(g, g.t());
    const double scale = gram.diagonal().max().item<double>();
    const auto squared_length = [&](const at::Tensor& x) { return at::mv(g.t(), x).square().sum().item<double>(); };
    expect_smallest(mgda_factors(gram, at::ones({g.size(0)}, at::kDouble), config::GradientNormalisation::none),
                    squared_length, scale, (gram.diagonal() > 0.0).to(at::kDouble));
    const at::Tensor mean = g.mean(0);
    for (const double c : {0.2, 0.9}) {
      const double radius = c * mean.norm().item<double>();
      const auto dual = [&](const at::Tensor& x) {
        return at::dot(at::mv(g, mean), x).item<double>() + radius * std::sqrt(squared_length(x));
      };
      const at::Tensor x = smallest_linear_plus_norm(gram, at::mv(g, mean), at::full({}, radius, at::kDouble));
      expect_smallest(x, dual, scale, at::ones_like(x));
      const at::Tensor mixture = at::mv(g.t(), x);
      const bool opposed = mixture.norm().item<double>() < 1e-6 * g.norm().item<double>();
      const at::Tensor pulled = opposed ? mean : mean + radius * mixture / mixture.norm();
      const at::Tensor combined = at::mv(g.t(), cagrad_factors(gram, c, 0)) / static_cast<double>(g.size(0));
      EXPECT_LT(length(combined - pulled), 1e-8 * length(mean)) << c;
    }
  }
}

TEST(OfManyGradients, MgdaLeavesOutATaskWithoutAGradient) {
  const auto factors = [](const at::Tensor& gram_tt) {
    return mgda_factors(gram_tt, at::ones({gram_tt.size(0)}, at::kDouble), config::GradientNormalisation::none);
  };
  for (const std::int64_t absent : {0, 1}) {
    at::Tensor gram = at::tensor({4.0, 0.0, 0.0, 4.0}, at::kDouble).view({2, 2});
    gram[absent][absent].zero_();
    EXPECT_EQ(factors(gram)[absent].item<double>(), 0.0);
    EXPECT_EQ(factors(gram)[1 - absent].item<double>(), 1.0);
  }
  const at::Tensor three = at::tensor({4.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0}, at::kDouble).view({3, 3});
  const at::Tensor two = at::tensor({4.0, -1.0, -1.0, 1.0}, at::kDouble).view({2, 2});
  EXPECT_EQ(factors(three)[1].item<double>(), 0.0);
  EXPECT_NEAR(factors(three)[0].item<double>(), factors(two)[0].item<double>(), 1e-12);
}

TEST(OfManyGradients, PcgradProjectsConflictsAwayInTheDrawnOrder) {
  for (const at::Tensor& g : sets_of_gradients()) {
    const std::int64_t num_tasks = g.size(0);
    std::vector<std::int64_t> order(static_cast<std::size_t>(num_tasks));
    const at::Tensor found = at::mv(g.t(), pcgrad_factors(at::matmul(g, g.t()), 3, 8));
    if (num_tasks > 4) {
      continue;  // too many orders
    }
    std::iota(order.begin(), order.end(), 0);
    // What may be left of each gradient, by every order; the sum of one of each is what was found.
    std::vector<at::Tensor> sums = {at::zeros_like(g[0])};
    for (std::int64_t task = 0; task < num_tasks; ++task) {
      std::vector<at::Tensor> longer;
      do {
        at::Tensor left = g[task];
        for (const std::int64_t other : order) {
          const double squared = product(g[other], g[other]);
          if (other != task && squared > 0.0) {
            left = left - g[other] * (std::min(0.0, product(left, g[other])) / squared);
          }
        }
        for (const at::Tensor& sum : sums) {
          const at::Tensor next = sum + left;
          if (std::ranges::none_of(longer, [&](const at::Tensor& one) { return length(one - next) < 1e-9; })) {
            longer.push_back(next);
          }
        }
      } while (std::ranges::next_permutation(order).found);
      sums = std::move(longer);
    }
    EXPECT_TRUE(std::ranges::any_of(
        sums, [&](const at::Tensor& one) { return length(one - found) < 1e-9 * g.norm().item<double>(); }));
  }
  // Another step draws another order, and so does another seed.
  const at::Tensor g = sets_of_gradients()[3];
  const at::Tensor gram = at::matmul(g, g.t());
  bool differs = false;
  for (std::int64_t step = 1; step < 20; ++step) {
    differs = differs || !at::equal(pcgrad_factors(gram, 1, step), pcgrad_factors(gram, 1, 0));
  }
  EXPECT_TRUE(differs);
  EXPECT_TRUE(at::equal(pcgrad_factors(gram, 1, 7), pcgrad_factors(gram, 1, 7)));
}

TEST(OfManyGradients, ImtlGProjectsEquallyOnAll) {
  for (const at::Tensor& g : sets_of_gradients()) {
    const at::Tensor factors = imtl_g_factors(at::matmul(g, g.t()));
    EXPECT_NEAR(factors.sum().item<double>(), 1.0, 1e-9);
    const at::Tensor norms = g.norm(2, 1);
    const bool are_independent = std::get<0>(at::linalg_slogdet(at::matmul(g, g.t()))).item<double>() > 0.5 &&
                                 norms.min().item<double>() > 0.0 && !at::equal(g[0], g[1]);
    if (are_independent) {
      const at::Tensor onto = at::mv(g / norms.unsqueeze(1), at::mv(g.t(), factors));
      EXPECT_LT((onto - onto[0]).abs().max().item<double>(), 1e-7 * norms.max().item<double>());
    } else {
      EXPECT_TRUE(at::isfinite(factors).all().item<bool>());
    }
  }
}

/// The general way, asked for two tasks, is their closed form.
TEST(OfManyGradients, OfTwoAreTheClosedForms) {
  const at::Generator generator = at::detail::createCPUGenerator(9);
  for (int i = 0; i < 20; ++i) {
    const at::Tensor g = at::randn({2, 5}, generator, at::kDouble);
    const at::Tensor gram = at::matmul(g, g.t());
    const at::Tensor shortest =
        mgda_factors(gram, at::ones({g.size(0)}, at::kDouble), config::GradientNormalisation::none);
    EXPECT_LT(length(smallest_quadratic(gram) - shortest), 1e-9);
  }
  EXPECT_THROW(static_cast<void>(smallest_quadratic(at::eye(kMaxSimplexTasks + 1, at::kDouble))), Error);
}

}  // namespace
}  // namespace xtasc::weighting
