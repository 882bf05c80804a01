#include "model/upsample.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace xtasc::model {
namespace {

at::Tensor random(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::detail::createCPUGenerator(seed), at::kDouble);
}

/// Output and input gradient under the same output gradient.
std::pair<at::Tensor, at::Tensor> both(const at::Tensor& input, at::Tensor (*upsample)(const at::Tensor&)) {
  const at::Tensor x = input.clone().requires_grad_(true);
  const at::Tensor y = upsample(x);
  y.backward(random(y.sizes(), 5).to(y.scalar_type()));
  return {y.detach(), x.grad()};
}

double deviation(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

TEST(Upsample, ElementsAreAtens) {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 5}, {2, 2}, {3, 7}, {12, 16}, {33, 2}}) {
    const at::Tensor x = random({2, 3, height, width}, 1);
    const auto [y, gradient] = both(x, upsample_by_elements);
    const auto [y_aten, gradient_aten] = both(x, upsample_twice);
    EXPECT_LT(deviation(y, y_aten), 1e-14) << height << " x " << width;
    EXPECT_LT(deviation(gradient, gradient_aten), 1e-13) << height << " x " << width;
  }
}

TEST(Upsample, FloatAndBfloat16RoundOnce) {
  const at::Tensor x = random({2, 8, 9, 12}, 2);
  for (const auto& [type, bound] : {std::pair{at::kFloat, 4e-6}, {at::kBFloat16, 4e-2}}) {
    const auto [y, gradient] = both(x.to(type), upsample_by_elements);
    const auto [y_exact, gradient_exact] = both(x.to(type).to(at::kDouble), upsample_twice);
    EXPECT_LT(deviation(y, y_exact), bound);
    // The upper gradient is rounded to the type too.
    EXPECT_LT(deviation(gradient, gradient_exact), 4.0 * bound);
  }
}

TEST(Upsample, GradientIsTheDifferenceQuotient) {
  const at::Tensor x = random({1, 2, 3, 4}, 3);
  const at::Tensor weights = random({1, 2, 6, 8}, 5);
  const auto [y, gradient] = both(x, upsample_by_elements);
  constexpr double kStep = 1e-6;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const auto moved = [&](double by) {
      at::Tensor z = x.clone();
      z.view({-1})[i] += by;
      return (upsample_by_elements(z) * weights).sum().item<double>();
    };
    EXPECT_NEAR((moved(kStep) - moved(-kStep)) / (2.0 * kStep), gradient.reshape({-1})[i].item<double>(), 1e-8) << i;
  }
}

TEST(Upsample, AnEmptyBatchStaysEmpty) {
  const auto [y, gradient] = both(at::empty({0, 3, 4, 4}, at::kFloat), upsample_by_elements);
  EXPECT_EQ(y.sizes(), (std::vector<std::int64_t>{0, 3, 8, 8}));
  EXPECT_EQ(gradient.size(0), 0);
}

}  // namespace
}  // namespace xtasc::model
