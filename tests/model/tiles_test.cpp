// Convolutions in bfloat16 on a processor that multiplies tiles, against the plain form in bfloat16 and in float64.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "kernels/tiles/tiled_convolution.hpp"
#include "model/layers.hpp"

namespace xtasc {
namespace {

double distance(const at::Tensor& found, const at::Tensor& expected) {
  const at::Tensor exact = expected.to(at::kDouble);
  return ((found.to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
}

struct TiledCase {
  std::int64_t first, second, out;
  std::int64_t kernel, stride, dilation;
  bool has_bias, relu;
};

class TiledLayer : public testing::TestWithParam<TiledCase> {
 protected:
  void SetUp() override {
    if (!kernels::multiplies_tiles(at::kBFloat16)) {
      GTEST_SKIP() << "this processor multiplies no tiles (AMX), or XTASC_AMX=0";
    }
  }
};

/// y and the gradients of the two inputs, weight and bias.
std::vector<at::Tensor> outcome(const TiledCase& c, at::ScalarType type, bool rewrites, bool in_place) {
  at::manual_seed(5);
  const auto wide = type == at::kDouble ? at::kDouble : at::kFloat;
  model::ParameterSet set(1, at::kCPU, wide);
  model::Convolution layer = model::make_convolution(set, {.name = "layer",
                                                           .in = c.first + c.second,
                                                           .out = c.out,
                                                           .kernel = c.kernel,
                                                           .stride = c.stride,
                                                           .dilation = c.dilation,
                                                           .has_bias = c.has_bias});
  set.flatten();
  const auto input = [type](std::int64_t channels) {
    return at::randn({3, channels, 19, 22}).to(at::kBFloat16).to(type).requires_grad_(true);
  };
  const at::Tensor first = input(c.first);
  const at::Tensor second = c.second > 0 ? input(c.second) : at::Tensor();
  {
    const c10::NoGradGuard no_grad;
    layer.weight.copy_(at::randn(layer.weight.sizes()).to(at::kBFloat16));
    if (c.has_bias) {
      layer.bias.copy_((3 * at::randn({c.out})).to(at::kBFloat16));
    }
  }
  const model::Mode mode = {.training = true, .compute = type, .rewrites = rewrites, .gradients_in_place = in_place};
  EXPECT_EQ(kernels::suits_tiles({first, second}, layer, type), type == at::kBFloat16);
  const at::Tensor y =
      model::convolve({first, second}, layer, mode, c.relu ? model::Activation::relu : model::Activation::none);
  y.backward(at::randn(y.sizes()).to(at::kBFloat16).to(type));
  std::vector<at::Tensor> all = {y.detach(), first.grad(), layer.weight.grad().clone()};
  if (second.defined()) {
    all.push_back(second.grad());
  }
  if (c.has_bias) {
    all.push_back(layer.bias.grad().clone());
  }
  return all;
}

TEST_P(TiledLayer, IsAsCloseToFloat64AsThePlainForm) {
  const auto exact = outcome(GetParam(), at::kDouble, false, false);
  const auto plain = outcome(GetParam(), at::kBFloat16, false, false);
  for (const bool in_place : {false, true}) {
    const auto found = outcome(GetParam(), at::kBFloat16, true, in_place);
    ASSERT_EQ(found.size(), exact.size());
    for (std::size_t i = 0; i < exact.size(); ++i) {
      EXPECT_EQ(found[i].sizes(), exact[i].sizes()) << i;
      EXPECT_LT(distance(plain[i], exact[i]), 1e-2) << i;
      EXPECT_LT(distance(found[i], exact[i]), 1.2 * distance(plain[i], exact[i]) + 1e-6) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, TiledLayer,
    testing::Values(TiledCase{64, 0, 32, 3, 1, 1, true, true}, TiledCase{3, 0, 64, 7, 2, 1, false, false},
                    TiledCase{32, 16, 48, 3, 1, 1, true, true}, TiledCase{32, 0, 64, 3, 2, 1, true, true},
                    TiledCase{48, 0, 7, 1, 1, 1, true, true}, TiledCase{24, 0, 20, 3, 1, 4, true, true},
                    TiledCase{40, 8, 13, 1, 1, 1, true, false}, TiledCase{16, 0, 16, 3, 1, 1, false, true}));

TEST(TiledWeight, ThatChangedMeanwhileIsRefused) {
  if (!kernels::multiplies_tiles(at::kBFloat16)) {
    GTEST_SKIP() << "this processor multiplies no tiles (AMX), or XTASC_AMX=0";
  }
  model::ParameterSet set(1, at::kCPU, at::kFloat);
  const model::Convolution layer = model::make_convolution(set, {.name = "layer", .in = 32, .out = 32});
  set.flatten();
  const at::Tensor x = at::randn({1, 32, 8, 8}).to(at::kBFloat16).requires_grad_(true);
  const at::Tensor y = kernels::convolve_by_tiles({x, {}}, layer, kernels::Activation::relu, false);
  {
    const c10::NoGradGuard no_grad;
    layer.weight.add_(1.0);
  }
  EXPECT_THROW(y.sum().backward(), c10::Error);
}

}  // namespace
}  // namespace xtasc
