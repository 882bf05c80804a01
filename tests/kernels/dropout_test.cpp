#include "kernels/dropout/dropout.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <optional>
#include <string>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"

namespace xtasc::kernels {
namespace {

constexpr double kShare = 0.3;

at::Tensor draws_of(at::IntArrayRef shape, std::uint64_t seed) {
  return at::rand(shape, at::detail::createCPUGenerator(seed), at::kFloat);
}

at::Tensor ones(std::int64_t images, std::int64_t channels, std::int64_t height, std::int64_t width) {
  return at::ones({images, channels, height, width}, at::kDouble);
}

/// Which values are kept, (N, C, H, W) of 0 and 1.
at::Tensor mask(const at::Tensor& draws, std::int64_t channels, std::int64_t height, std::int64_t width,
                double share = kShare) {
  return drop_values(ones(draws.size(0), channels, height, width), draws, share) * (1.0 - share);
}

/// The formula of the header, value by value.
TEST(DropValues, MaskIsThatOfTheFormula) {
  const auto mix = [](std::uint32_t z) {
    z ^= z >> 16;
    z *= 0x7feb352dU;
    z ^= z >> 15;
    z *= 0x846ca68bU;
    return z ^ (z >> 16);
  };
  EXPECT_EQ(mix(1), 0x688990c0U);  // worked out apart from this program
  const at::Tensor draws = draws_of({2, 2}, 1);
  const at::Tensor found = mask(draws, 5, 3, 7).permute({0, 2, 3, 1}).contiguous();
  for (std::int64_t n = 0; n < 2; ++n) {
    const auto a = static_cast<std::uint32_t>(draws[n][0].item<float>() * 16777216.0F);
    const auto b = static_cast<std::uint32_t>(draws[n][1].item<float>() * 16777216.0F);
    const at::Tensor image = found[n].flatten();
    for (std::uint32_t k = 0; k < 5 * 3 * 7; ++k) {
      const bool is_kept = mix(mix(k * 0x9e3779b9U + a) ^ b) >= kShare * 4294967296.0;
      EXPECT_DOUBLE_EQ(image[k].item<double>(), is_kept ? 1.0 : 0.0) << n << " " << k;
    }
  }
}

/// ATen's operations, which other devices take, give the bits of the CPU's loops, forward and backward.
TEST(DropValues, SameBitsInBothForms) {
  const at::Tensor draws = draws_of({3, 2}, 2);
  at::manual_seed(1);
  for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16}) {
    const at::Tensor x = at::randn({3, 24, 20, 45}, at::kDouble).to(type);  // more than one thread's share
    const at::Tensor grad = at::randn(x.sizes(), at::kDouble).to(type);
    const auto both = [&](bool as_on_cuda) {
      std::optional<CudaForms> forms;
      if (as_on_cuda) {
        forms.emplace();
      }
      const at::Tensor leaf = x.clone().requires_grad_(true);
      const at::Tensor y = drop_values(leaf, draws, kShare);
      EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
      EXPECT_EQ(y.scalar_type(), type);
      return std::pair{y.detach(), torch::autograd::grad({y}, {leaf}, {grad}).front()};
    };
    const auto [y, of_x] = both(false);
    const auto [y_by_aten, of_x_by_aten] = both(true);
    EXPECT_TRUE(at::equal(y, y_by_aten)) << c10::toString(type);
    EXPECT_TRUE(at::equal(of_x, of_x_by_aten)) << c10::toString(type);
    const at::Tensor kept = mask(draws, 24, 20, 45);
    EXPECT_TRUE(at::allclose(of_x.to(at::kDouble), kept * grad.to(at::kDouble) / (1.0 - kShare), 1e-2, 1e-6));
  }
}

/// Each image's mask is its own, whatever others are beside it; nothing but the two draws decides it.
TEST(DropValues, MasksAreOfTheImagesDraws) {
  const at::Tensor draws = draws_of({4, 2}, 3);
  const at::Tensor all = mask(draws, 16, 9, 8);
  EXPECT_TRUE(at::equal(all.narrow(0, 2, 2), mask(draws.narrow(0, 2, 2), 16, 9, 8)));
  EXPECT_FALSE(at::equal(all[0], all[1]));
  for (const std::int64_t column : {0, 1}) {
    at::Tensor other = draws.clone();
    other.select(1, column).copy_(draws.select(1, column).flip(0));
    EXPECT_FALSE(at::equal(mask(other, 16, 9, 8), all)) << column;
  }
}

/// As coins do: shares, and how often neighbours agree, within four deviations.
TEST(DropValues, ValuesAreDroppedIndependently) {
  for (const double share : {0.1, 0.5}) {
    const at::Tensor kept = mask(draws_of({2, 2}, 4), 64, 48, 40, share);
    const auto near = [&](const at::Tensor& found, double expected, const char* what) {
      const double deviation = std::sqrt(expected * (1.0 - expected) / static_cast<double>(found.numel()));
      EXPECT_NEAR(found.mean().item<double>(), expected, 4.0 * deviation) << what << ", " << share;
    };
    near(kept, 1.0 - share, "all");
    const double agreeing = share * share + (1.0 - share) * (1.0 - share);
    for (const std::int64_t side : {0, 1, 2, 3}) {
      const std::int64_t less = kept.size(side) - 1;
      const at::Tensor same = kept.narrow(side, 0, less).eq(kept.narrow(side, 1, less)).to(at::kDouble);
      near(same, agreeing, std::to_string(side).c_str());
    }
  }
}

TEST(DropValues, EmptyBatchesAndWrongDraws) {
  EXPECT_EQ(drop_values(ones(0, 3, 4, 5), draws_of({0, 2}, 1), kShare).sizes(), at::IntArrayRef({0, 3, 4, 5}));
  EXPECT_THROW(static_cast<void>(drop_values(ones(2, 3, 4, 5), draws_of({1, 2}, 1), kShare)), Error);
  EXPECT_THROW(static_cast<void>(drop_values(ones(2, 3, 4, 5), draws_of({2, 3}, 1), kShare)), Error);
  EXPECT_THROW(static_cast<void>(drop_values(ones(2, 3, 4, 5), draws_of({2, 2}, 1), 1.0)), Error);
}

}  // namespace
}  // namespace xtasc::kernels
