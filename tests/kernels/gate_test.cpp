#include "kernels/gate/gate.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"

namespace xtasc::kernels {
namespace {

struct Case {
  const char* name;
  at::ScalarType type;
  double bound;
  bool takes_cuda_form = false;
};

class Gate : public testing::TestWithParam<Case> {
 protected:
  Gate() {
    at::manual_seed(5);
    if (GetParam().takes_cuda_form) {
      forms_.emplace();
    }
  }

  /// A leaf of float64 behind what the operations see: its gradient is what autograd makes of theirs.
  static at::Tensor leaf(at::IntArrayRef shape) {
    return at::randn(shape, at::kDouble).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_(true);
  }
  [[nodiscard]] static at::Tensor seen(const at::Tensor& of) {
    return (of * 1.0).to(GetParam().type);  // no leaf: it may be overwritten
  }

  /// Values and the leaves' gradients, of ours and of what is expected.
  static void compare(const at::Tensor& found, const at::Tensor& expected, const std::vector<at::Tensor>& leaves) {
    const auto is_near = [](const at::Tensor& a, const at::Tensor& b) {
      return (a.to(at::kDouble) - b).abs().max().item<double>() <=
             GetParam().bound * std::max(1.0, b.abs().max().item<double>());
    };
    ASSERT_EQ(found.sizes(), expected.sizes());
    EXPECT_EQ(found.scalar_type(), GetParam().type);
    EXPECT_TRUE(is_near(found.detach(), expected.detach()));
    const at::Tensor grad = at::randn(expected.sizes(), at::kDouble);
    const auto ours = torch::autograd::grad({found}, leaves, {grad.to(GetParam().type)});
    const auto theirs = torch::autograd::grad({expected}, leaves, {grad.to(GetParam().type).to(at::kDouble)});
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      EXPECT_TRUE(is_near(ours[i], theirs[i])) << "gradient " << i;
    }
  }

 private:
  std::optional<CudaForms> forms_;
};

TEST_P(Gate, IsASigmoidTimesWhatItAttendsTo) {
  const at::Tensor x = leaf({2, 5, 3, 4});
  const at::Tensor attended = leaf({2, 5, 3, 4});
  compare(sigmoid_gate(seen(x), seen(attended)), at::sigmoid(x) * attended, {x, attended});
}

TEST_P(Gate, JoinsWithFactors) {
  const auto real = GetParam().type == at::kDouble ? at::kDouble : at::kFloat;
  for (const std::int64_t sets : {1, 3}) {
    for (const bool drops : {false, true}) {
      const at::Tensor x = leaf({3, 20, 2, 3});
      const at::Tensor first = leaf({3, 20, 2, 3});
      const at::Tensor factors = leaf({sets, 20, 2, 3});
      const at::Tensor kept = 2.0 * (at::rand({3, 40}, at::kDouble) > 0.4).to(at::kDouble);
      const at::Tensor second = at::sigmoid(x);
      const at::Tensor joined = at::cat({second, factors * first * second}, 1);
      compare(join_with_factors(seen(x), seen(first), factors.to(real), drops ? kept.to(real) : at::Tensor()),
              drops ? joined * kept.unsqueeze(2).unsqueeze(3) : joined, {x, first, factors});
    }
  }
}

/// A rank without an image: shapes, and a gradient of zero for what others have images for.
TEST_P(Gate, TakesNoImage) {
  const auto real = GetParam().type == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor none = at::empty({0, 8, 2, 2}, GetParam().type);
  const at::Tensor factors = at::rand({1, 8, 2, 2}, real).requires_grad_(true);
  const at::Tensor joined = join_with_factors(none.clone(), none, factors, {});
  EXPECT_EQ(joined.sizes(), at::IntArrayRef({0, 16, 2, 2}));
  joined.sum().backward();
  EXPECT_TRUE(at::equal(factors.grad(), at::zeros_like(factors)));
  const at::Tensor own = at::rand({4, 8, 2, 2}, real).requires_grad_(true);
  join_with_factors(none.clone(), none, own.narrow(0, 1, 0), {}).sum().backward();
  EXPECT_TRUE(at::equal(own.grad(), at::zeros_like(own)));
  const at::Tensor attended = none.clone().requires_grad_(true);
  sigmoid_gate(none.clone(), attended).sum().backward();
  EXPECT_EQ(attended.grad().sizes(), none.sizes());
}

INSTANTIATE_TEST_SUITE_P(Types, Gate,
                         testing::Values(Case{"fp64", at::kDouble, 1e-14}, Case{"fp32", at::kFloat, 1e-6},
                                         Case{"bf16", at::kBFloat16, 2e-2},
                                         Case{"fp64_as_cuda", at::kDouble, 1e-14, true},
                                         Case{"bf16_as_cuda", at::kBFloat16, 4e-2, true}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(GateChecks, SayWhatDisagrees) {
  const at::Tensor x = at::zeros({1, 2, 2, 2});
  EXPECT_THROW(static_cast<void>(sigmoid_gate(x, at::zeros({1, 2, 2, 1}))), Error);
  EXPECT_THROW(static_cast<void>(sigmoid_gate(x, x.to(at::kDouble))), Error);
  EXPECT_THROW(static_cast<void>(join_with_factors(x, x, at::zeros({2, 2, 2, 2}), {})), Error);
  EXPECT_THROW(static_cast<void>(join_with_factors(x, x, x, at::zeros({1, 2}))), Error);
}

}  // namespace
}  // namespace xtasc::kernels
