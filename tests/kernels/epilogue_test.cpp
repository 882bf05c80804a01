// What follows a convolution, as CUDA's blocks and threads do it, against ATen's passes.
#include "kernels/epilogue/epilogue.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "core/error.hpp"

namespace xtasc::kernels {
namespace {

constexpr std::array kTypes = {at::kDouble, at::kFloat, at::kBFloat16};

struct Sizes {
  std::int64_t num, channels, height, width;
};
/// Packs of four channels and single ones, one window and more than a block's, no image.
constexpr std::array kSizes = {Sizes{3, 64, 20, 28}, Sizes{2, 37, 6, 10}, Sizes{1, 1, 2, 2}, Sizes{2, 260, 4, 2},
                               Sizes{0, 8, 4, 4}};

at::ScalarType real_of(at::ScalarType type) {
  return type == at::kDouble ? at::kDouble : at::kFloat;
}

/// Halves, so that equals meet in most windows.
at::Tensor halves(at::IntArrayRef shape, at::ScalarType type, std::uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  return (at::randint(-6, 7, shape, generator, at::kDouble) / 2.0).to(type);
}

at::Tensor images(const Sizes& sizes, at::ScalarType type, std::uint64_t seed) {
  return halves({sizes.num, sizes.channels, sizes.height, sizes.width}, type, seed)
      .contiguous(at::MemoryFormat::ChannelsLast);
}

/// Numbers of many bits.
at::Tensor rounded(const Sizes& sizes, at::ScalarType type, std::uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn({sizes.num, sizes.channels, sizes.height, sizes.width}, generator, at::kDouble)
      .to(type)
      .contiguous(at::MemoryFormat::ChannelsLast);
}
at::Tensor rounded_channels(std::int64_t channels, at::ScalarType type, std::uint64_t seed) {
  return at::randn({channels}, at::detail::createCPUGenerator(seed), at::kDouble).to(real_of(type));
}

at::Tensor by_channel(const at::Tensor& c) {
  return c.view({1, -1, 1, 1});
}

/// By ATen, pass by pass.
struct Expected {
  at::Tensor y, pooled, places;
};
Expected expected(const at::Tensor& z, const at::Tensor& bias) {
  Expected found;
  found.y = (z.to(bias.scalar_type()) + by_channel(bias)).to(z.scalar_type()).relu_();
  std::tie(found.pooled, found.places) = at::max_pool2d_with_indices(found.y, {2, 2});
  return found;
}

template <typename F>
void for_all(const F& f) {
  for (const at::ScalarType type : kTypes) {
    for (const Sizes& sizes : kSizes) {
      SCOPED_TRACE(std::string(c10::toString(type)) + ", " + std::to_string(sizes.channels) + " channels");
      f(type, sizes);
    }
  }
}

/// Where a sum is rounded to the tensor's type before it is compared, in bfloat16 above all, equals are many.
TEST(Epilogue, BiasAndReluAreAtensBits) {
  for_all([](at::ScalarType type, const Sizes& sizes) {
    const at::Tensor z = rounded(sizes, type, 1);
    const at::Tensor bias = rounded_channels(sizes.channels, type, 2);
    const at::Tensor wanted = expected(z, bias).y;
    EXPECT_FALSE(add_bias_and_relu(z, bias, /*wants_gate=*/false).defined());
    EXPECT_TRUE(at::equal(z, wanted));
  });
}

TEST(Epilogue, PoolIsAtensBits) {
  for_all([](at::ScalarType type, const Sizes& sizes) {
    const at::Tensor z = rounded(sizes, type, 3);
    const at::Tensor bias = rounded_channels(sizes.channels, type, 4);
    const Pooled found = add_bias_relu_and_pool(z, bias);
    EXPECT_EQ(found.y.sizes(), (std::vector{sizes.num, sizes.channels, sizes.height / 2, sizes.width / 2}));
    EXPECT_EQ(found.from.sizes(), found.y.sizes());
    EXPECT_TRUE(sizes.num == 0 || at::equal(found.y, expected(z, bias).pooled));
  });
}

TEST(Epilogue, GradientBehindReluIsAtensBits) {
  for_all([](at::ScalarType type, const Sizes& sizes) {
    const at::Tensor y = images(sizes, type, 5);
    const at::Tensor gate = add_bias_and_relu(y, halves({sizes.channels}, real_of(type), 21), true);
    const at::Tensor grad_y = images(sizes, type, 6);
    const at::Tensor grad_bias = halves({sizes.channels}, real_of(type), 7);
    const at::Tensor wanted = at::threshold_backward(grad_y, y, 0);
    // Halves, so no order of sums rounds.
    const at::Tensor wanted_bias = grad_bias + wanted.to(at::kDouble).sum({0, 2, 3}).to(grad_bias.scalar_type());
    EXPECT_TRUE(at::equal(gradient_behind_relu(grad_y, gate, grad_bias), wanted));
    EXPECT_TRUE(at::equal(grad_bias, wanted_bias));
  });
}

TEST(Epilogue, GradientBehindPoolIsAtensBits) {
  for_all([](at::ScalarType type, const Sizes& sizes) {
    if (sizes.num == 0) {
      return;  // ATen refuses
    }
    const at::Tensor z = rounded(sizes, type, 8);
    const at::Tensor bias = rounded_channels(sizes.channels, type, 9);
    const Expected by_aten = expected(z, bias);
    const at::Tensor grad_y = images({sizes.num, sizes.channels, sizes.height / 2, sizes.width / 2}, type, 10);
    const at::Tensor unpooled =
        at::max_pool2d_with_indices_backward(grad_y, by_aten.y, {2, 2}, {2, 2}, {0, 0}, {1, 1}, false, by_aten.places);
    const at::Tensor wanted = at::threshold_backward(unpooled, by_aten.y, 0);
    const at::Tensor grad_bias = halves({sizes.channels}, real_of(type), 11);
    const at::Tensor wanted_bias = grad_bias + wanted.to(at::kDouble).sum({0, 2, 3}).to(grad_bias.scalar_type());
    EXPECT_TRUE(at::equal(gradient_behind_pool(grad_y, add_bias_relu_and_pool(z, bias).from, grad_bias), wanted));
    EXPECT_TRUE(at::equal(grad_bias, wanted_bias));
  });
}

TEST(Epilogue, NanGoesTheWayOfAtens) {
  for (const at::ScalarType type : kTypes) {
    const at::Tensor z = images({1, 4, 4, 4}, type, 12);
    z[0][1][0][1] = std::numeric_limits<double>::quiet_NaN();
    const at::Tensor bias = halves({4}, real_of(type), 13);
    const Pooled found = add_bias_relu_and_pool(z, bias);
    EXPECT_TRUE(at::equal(at::isnan(found.y), at::isnan(expected(z, bias).pooled)));
    EXPECT_EQ(at::isnan(found.y).sum().item<std::int64_t>(), 1);
    EXPECT_EQ(found.from[0][1][0][0].item<int>(), 1);
    const at::Tensor gate = add_bias_and_relu(z, bias, true);
    EXPECT_EQ(at::isnan(z).sum().item<std::int64_t>(), 1);
    EXPECT_EQ(gate[1].item<int>() >> 1 & 1, 1) << "as at::threshold_backward lets its gradient through";
  }
}

TEST(Epilogue, ResidualIsAddedBeforeItRounds) {
  for_all([](at::ScalarType type, const Sizes& sizes) {
    const at::Tensor x = images(sizes, type, 14);
    const at::Tensor added = images(sizes, type, 15);
    const auto real = real_of(type);
    const at::Tensor scale = halves({sizes.channels}, real, 16), shift = halves({sizes.channels}, real, 17);
    const at::Tensor wanted = (x.to(real) * by_channel(scale) + by_channel(shift) + added.to(real)).relu_().to(type);
    EXPECT_TRUE(at::equal(scale_shift_add_and_relu(x, scale, shift, added), wanted));
  });
  // 257 + 1 - 256: bfloat16 has 256 and 258 only, so rounding before the sum would give 0.
  const auto one = [](double value) { return at::full({1, 1, 1, 1}, value, at::kBFloat16); };
  const at::Tensor y = scale_shift_add_and_relu(one(256.0), at::ones({1}), at::ones({1}), one(-256.0));
  EXPECT_EQ(y.item<double>(), 1.0);
}

TEST(Epilogue, AnyLayoutGivesTheSameBits) {
  const at::Tensor z = images({2, 64, 6, 8}, at::kFloat, 18);
  const at::Tensor bias = halves({64}, at::kFloat, 19);
  const at::Tensor memory = at::empty({z.numel() + 1}, z.options()).narrow(0, 1, z.numel());
  const at::Tensor moved = memory.view({2, 6, 8, 64}).permute({0, 3, 1, 2}).copy_(z);
  ASSERT_NE(reinterpret_cast<std::uintptr_t>(moved.const_data_ptr()) % 16, 0U);
  EXPECT_TRUE(at::equal(add_bias_relu_and_pool(moved, bias).y, add_bias_relu_and_pool(z, bias).y));
  EXPECT_TRUE(at::equal(add_bias_relu_and_pool(z.contiguous(), bias).y, add_bias_relu_and_pool(z, bias).y));
  add_bias_and_relu(moved, bias, false);
  add_bias_and_relu(z, bias, false);
  EXPECT_TRUE(at::equal(moved, z));
}

TEST(Epilogue, ShapesWithoutNumbers) {
  const at::Tensor z = at::empty({2, 8, 6, 4}, at::TensorOptions().device(at::kMeta).dtype(at::kBFloat16));
  const at::Tensor bias = at::empty({8}, at::TensorOptions().device(at::kMeta));
  const Pooled pooled = add_bias_relu_and_pool(z, bias);
  EXPECT_EQ(pooled.y.sizes(), (std::vector<std::int64_t>{2, 8, 3, 2}));
  EXPECT_EQ(gradient_behind_pool(pooled.y, pooled.from, bias).sizes(), z.sizes());
  EXPECT_EQ(gradient_behind_relu(z, add_bias_and_relu(z, bias, true), bias).sizes(), z.sizes());
}

TEST(Epilogue, WhatDoesNotFitIsRefused) {
  const at::Tensor z = images({1, 4, 3, 4}, at::kFloat, 20);
  EXPECT_THROW(static_cast<void>(add_bias_relu_and_pool(z, at::zeros({4}))), Error) << "an odd height";
  EXPECT_THROW(add_bias_and_relu(z, at::zeros({5}), false), Error) << "a bias of other channels";
  EXPECT_THROW(add_bias_and_relu(z, at::zeros({4}, at::kDouble), false), Error) << "a bias of another type";
}

}  // namespace
}  // namespace xtasc::kernels
