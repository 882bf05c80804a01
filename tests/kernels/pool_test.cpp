#include "kernels/pool/pool.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"

namespace xtasc::kernels {
namespace {

class PoolAgainstAten : public testing::TestWithParam<at::ScalarType> {};

/// Whole numbers from -2 to 2: every window has equals, and a third of the largest values are there twice.
at::Tensor with_ties(at::IntArrayRef shape, at::ScalarType type) {
  at::manual_seed(1);
  return at::randint(-2, 3, shape, at::kFloat).to(type);
}

/// The pool's choice as PyTorch gives it: a place in the whole map -> one of the four places of the window.
at::Tensor places_of(const at::Tensor& indices, std::int64_t width) {
  const at::Tensor row = indices.div(width, "floor").remainder(2);
  return (2 * row + indices.remainder(width).remainder(2)).to(at::kByte);
}

void compare_with_aten(at::ScalarType type) {
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{2, 5, 6, 8}, {1, 64, 2, 2}, {3, 16, 32, 10}}) {
    at::Tensor x = with_ties(shape, type).requires_grad_(true);
    const at::Tensor expected_x = x.detach().clone().requires_grad_(true);
    const MaxPooled found = max_pool_2x2(x);
    const auto [values, indices] = at::max_pool2d_with_indices(expected_x, 2);
    EXPECT_TRUE(at::equal(found.values, values));
    EXPECT_TRUE(at::equal(found.which, places_of(indices, shape[3])));
    const at::Tensor gradient = with_ties(values.sizes(), type);
    found.values.backward(gradient);
    values.backward(gradient);
    EXPECT_TRUE(at::equal(x.grad(), expected_x.grad()));

    at::Tensor y = with_ties(values.sizes(), type).requires_grad_(true);
    const at::Tensor expected_y = y.detach().clone().requires_grad_(true);
    const at::Tensor large = unpool_2x2(y, found.which);
    const at::Tensor expected = at::max_unpool2d(expected_y.to(at::kFloat), indices, {shape[2], shape[3]});
    EXPECT_EQ(large.scalar_type(), type);
    EXPECT_TRUE(at::equal(large.to(at::kFloat), expected));
    const at::Tensor back = with_ties(expected.sizes(), type);
    large.backward(back);
    expected.backward(back.to(at::kFloat));
    EXPECT_TRUE(at::equal(y.grad(), expected_y.grad()));
  }
}

TEST_P(PoolAgainstAten, SameValuesPlacesAndGradientsTiesToo) {
  compare_with_aten(GetParam());
}

TEST_P(PoolAgainstAten, SoDoTheFormsOfOtherDevices) {
  const CudaForms forms;
  compare_with_aten(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Types, PoolAgainstAten, testing::Values(at::kFloat, at::kDouble, at::kBFloat16),
                         [](const auto& test) { return c10::toString(test.param); });

TEST(Pool, NanIsTheLargest) {
  at::Tensor x = at::zeros({1, 1, 2, 2});
  x[0][0][1][0] = std::numeric_limits<float>::quiet_NaN();
  const MaxPooled pooled = max_pool_2x2(x);
  EXPECT_TRUE(pooled.values.isnan().all().item<bool>());
  EXPECT_EQ(pooled.which.item<int>(), 2);
}

TEST(Pool, OddSidesAndOtherPlacesAreRefused) {
  EXPECT_THROW(static_cast<void>(max_pool_2x2(at::zeros({1, 1, 3, 4}))), Error);
  EXPECT_THROW(static_cast<void>(unpool_2x2(at::zeros({1, 1, 2, 2}), at::zeros({1, 1, 2, 1}, at::kByte))), Error);
}

/// The forms of other devices, which the meta device takes, have the shapes and layouts of the CPU's.
TEST(Pool, HasNoValuesToLookAtOnOtherDevices) {
  at::Tensor x = at::empty({2, 3, 4, 6}, at::TensorOptions().device(at::kMeta)).requires_grad_(true);
  const MaxPooled pooled = max_pool_2x2(x);
  EXPECT_EQ(pooled.which.sizes(), at::IntArrayRef({2, 3, 2, 3}));
  EXPECT_EQ(pooled.which.scalar_type(), at::kByte);
  const at::Tensor large = unpool_2x2(pooled.values, pooled.which);
  EXPECT_EQ(large.sizes(), x.sizes());
  EXPECT_TRUE(large.is_contiguous(at::MemoryFormat::ChannelsLast));
  large.sum().backward();
  EXPECT_EQ(x.grad().sizes(), x.sizes());
}

}  // namespace
}  // namespace xtasc::kernels
