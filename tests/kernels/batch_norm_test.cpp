// Batch norm's passes as CUDA's blocks and threads make them, against the CPU's loops and against ATen in float64.
#include "kernels/batch_norm/batch_norm_passes.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "core/error.hpp"
#include "kernels/batch_norm/batch_norm_by_elements.hpp"
#include "kernels/batch_norm/batch_norm_element.hpp"

namespace xtasc::kernels {
namespace {

constexpr std::array kTypes = {at::kDouble, at::kFloat, at::kBFloat16};

struct Images {
  std::int64_t num, height, width;
};

/// What the four passes read.
struct Operands {
  at::Tensor grad_y, x, scale, shift, a, b, c;
};

at::Tensor by_channel(const at::Tensor& c) {
  return c.view({1, -1, 1, 1});
}

/// Eighths, so small that no product and no sum of them is rounded, in float32 either; and shifts that keep the ReLU's
/// input away from zero.
Operands exact_operands(const Images& images, std::int64_t channels, at::ScalarType type) {
  const at::Generator generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(channels));
  const auto eighths = [&](at::IntArrayRef shape) { return at::randint(-16, 17, shape, generator, at::kDouble) / 8.0; };
  const auto wide = type == at::kDouble ? at::kDouble : at::kFloat;
  const auto of_images = [&] {
    return eighths({images.num, channels, images.height, images.width})
        .to(type)
        .contiguous(at::MemoryFormat::ChannelsLast);
  };
  const auto of_channels = [&] { return eighths({channels}).to(wide); };
  Operands operands = {of_images(),   of_images(),   of_channels(), of_channels(),
                       of_channels(), of_channels(), of_channels()};
  operands.shift += 1.0 / 128.0;
  return operands;
}

/// Numbers of every size around one.
Operands rounded_operands(const Images& images, std::int64_t channels, at::ScalarType type) {
  const at::Generator generator = at::detail::createCPUGenerator(3);
  const auto wide = type == at::kDouble ? at::kDouble : at::kFloat;
  const auto of_images = [&] {
    return at::randn({images.num, channels, images.height, images.width}, generator, at::kDouble)
        .to(type)
        .contiguous(at::MemoryFormat::ChannelsLast);
  };
  const auto of_channels = [&] { return at::randn({channels}, generator, at::kDouble).to(wide); };
  return {of_images(), of_images(), of_channels(), of_channels(), of_channels(), of_channels(), of_channels()};
}

/// Sum and sum of products with x, (C) float64.
struct ChannelSums {
  at::Tensor sum, dot;
};

struct Results {
  ChannelSums of_x, of_gradient;
  at::Tensor y, grad_x;
};

/// The four functions of one implementation.
struct Norm {
  decltype(&statistics_of) statistics;
  decltype(&scale_shift) scaled;
  decltype(&gradient_factors) factors;
  decltype(&gradient_of_x) gradient;
};
constexpr Norm kCpu = {statistics_of, scale_shift, gradient_factors, gradient_of_x};
constexpr Norm kAsOnCuda = {by_elements::statistics_of, by_elements::scale_shift, by_elements::gradient_factors,
                            by_elements::gradient_of_x};

/// What a rank hands over to be summed over ranks.
template <typename F>
ChannelSums handed_over(std::int64_t channels, double count, const F& f) {
  ChannelSums found;
  f([&](const at::Tensor& sums) {
    ASSERT_EQ(sums.numel(), 2 * channels + 1);
    found = {sums.narrow(0, 0, channels).clone(), sums.narrow(0, channels, channels).clone()};
    EXPECT_EQ(sums[2 * channels].item<double>(), count);
  });
  return found;
}

Results results_of(const Norm& by, const Operands& in, bool relu) {
  const std::int64_t channels = in.x.size(1);
  const double count = static_cast<double>(in.x.numel()) / static_cast<double>(channels);
  const NormOperands operands = {in.grad_y, in.x, in.scale, in.shift};
  const NormStatistics statistics = by.statistics(in.x, {in.scale, in.shift}, {});
  const ChannelSums of_x = handed_over(channels, count, [&](const SumOverRanks& sum) {
    std::ignore = by.statistics(in.x, {in.scale, in.shift}, sum);
  });
  const ChannelSums of_gradient = handed_over(channels, 0.0, [&](const SumOverRanks& sum) {
    std::ignore = by.factors(operands, statistics, in.scale, {}, relu, sum);
  });
  return {of_x, of_gradient, by.scaled(in.x, in.scale, in.shift, relu),
          by.gradient(operands, relu, {in.a, in.b, in.c})};
}

Results on_cpu(const Operands& in, bool relu) {
  return results_of(kCpu, in, relu);
}

Results as_on_cuda(const Operands& in, bool relu) {
  return results_of(kAsOnCuda, in, relu);
}

/// In float64; y and the gradient are rounded to the type at the end.
Results by_aten(const Operands& in, bool relu) {
  const auto wide = [](const at::Tensor& t) { return t.to(at::kDouble); };
  const at::Tensor x = wide(in.x);
  const at::Tensor y = x * by_channel(wide(in.scale)) + by_channel(wide(in.shift));
  const at::Tensor g = relu ? wide(in.grad_y) * (y > 0) : wide(in.grad_y);
  const at::Tensor grad_x = g * by_channel(wide(in.a)) + x * by_channel(wide(in.b)) + by_channel(wide(in.c));
  const auto sum = [](const at::Tensor& t) { return t.sum({0, 2, 3}); };
  return {{sum(x), sum(x * x)},
          {sum(g), sum(g * x)},
          (relu ? y.relu() : y).to(in.x.scalar_type()),
          grad_x.to(in.x.scalar_type())};
}

using Named = std::vector<std::pair<const char*, at::Tensor>>;

Named named(const Results& r) {
  return {{"sum of x", r.of_x.sum},
          {"sum of x * x", r.of_x.dot},
          {"sum of g", r.of_gradient.sum},
          {"sum of g * x", r.of_gradient.dot},
          {"y", r.y},
          {"gradient of x", r.grad_x}};
}

void expect_same_bits(const Results& found, const Results& expected) {
  const Named a = named(found);
  const Named b = named(expected);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].second.scalar_type(), b[i].second.scalar_type()) << a[i].first;
    EXPECT_TRUE(at::equal(a[i].second, b[i].second)) << a[i].first;
  }
}

class NormPasses : public testing::TestWithParam<Images> {};

TEST_P(NormPasses, AreExactWhereNumbersAre) {
  for (const std::int64_t channels : {1, 3, 4, 5, 31, 32, 36, 37, 64, 96, 128, 130, 132, 257, 512, 2048}) {
    for (const at::ScalarType type : kTypes) {
      for (const bool relu : {false, true}) {
        SCOPED_TRACE(testing::Message() << channels << " channels, " << c10::toString(type) << (relu ? ", ReLU" : ""));
        const Operands operands = exact_operands(GetParam(), channels, type);
        const Results found = as_on_cuda(operands, relu);
        expect_same_bits(found, by_aten(operands, relu));
        expect_same_bits(found, on_cpu(operands, relu));
        EXPECT_TRUE(found.y.is_contiguous(at::MemoryFormat::ChannelsLast));
        EXPECT_TRUE(found.grad_x.is_contiguous(at::MemoryFormat::ChannelsLast));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, NormPasses,
                         testing::Values(Images{0, 4, 4}, Images{1, 1, 1}, Images{2, 3, 5}, Images{3, 17, 13}),
                         [](const auto& test) {
                           return std::to_string(test.param.num * test.param.height * test.param.width) + "_rows";
                         });

TEST(NormPass, ManySlicesOfRows) {
  for (const auto& [images, channels] : {std::pair{Images{2, 300, 250}, 64},
                                         {Images{2, 60, 36}, 2048},
                                         {Images{1, 70, 61}, 1},
                                         {Images{3, 99, 83}, 6}}) {
    SCOPED_TRACE(channels);
    EXPECT_GT(norm_grid(images.num * images.height * images.width, channels).slices, 1);
    const Operands operands = exact_operands(images, channels, at::kFloat);
    expect_same_bits(as_on_cuda(operands, true), by_aten(operands, true));
  }
}

TEST(NormPass, RoundsAsTheCpuDoes) {
  for (const auto& [type, bound] : {std::pair{at::kDouble, 1e-14}, {at::kFloat, 1e-6}, {at::kBFloat16, 8e-3}}) {
    for (const std::int64_t channels : {64, 37}) {
      SCOPED_TRACE(testing::Message() << channels << " channels, " << c10::toString(type));
      const Operands operands = rounded_operands({3, 17, 13}, channels, type);
      const Results found = as_on_cuda(operands, type == at::kDouble);
      const Results exact = by_aten(operands, type == at::kDouble);
      const Results cpu = on_cpu(operands, type == at::kDouble);
      const Named a = named(found);
      for (std::size_t i = 0; i < a.size(); ++i) {
        const auto deviation = [&](const Results& r) {
          return (a[i].second.to(at::kDouble) - named(r)[i].second.to(at::kDouble)).abs().max().item<double>();
        };
        const double size = named(exact)[i].second.to(at::kDouble).abs().max().item<double>();
        EXPECT_LE(deviation(exact), (i < 4 ? 1e-13 : bound) * size) << a[i].first;  // sums are float64's in any type
        EXPECT_LE(deviation(cpu), (type == at::kDouble ? 1e-13 : bound) * size) << a[i].first;
      }
    }
  }
}

// Means over a map, as DeepLab norms them: nearly equal over the images.
TEST(NormPass, OfOnePixelKeepsTheVarianceOfNearlyEqualImages) {
  const at::Generator generator = at::detail::createCPUGenerator(11);
  const at::Tensor x = (1.0 + 1e-4 * at::randn({3, 40, 1, 1}, generator, at::kDouble))
                           .to(at::kFloat)
                           .contiguous(at::MemoryFormat::ChannelsLast);
  const auto [variance, mean] = at::var_mean(x.to(at::kDouble), at::IntArrayRef{0, 2, 3}, 0);
  const at::Tensor expected = 1.0 / (variance + 1e-5).sqrt();
  const NormTensors norm = {at::ones({40}, at::kFloat), at::zeros({40}, at::kFloat)};
  for (const Norm& on : {kCpu, kAsOnCuda}) {
    const NormStatistics found = on.statistics(x, norm, {});
    EXPECT_TRUE(at::allclose(found.mean, mean, 1e-14, 0.0));
    EXPECT_TRUE(at::allclose(found.inverse_deviation, expected, 1e-9, 0.0));
  }
}

TEST(NormPass, NanStaysNanAndClosesTheGate) {
  for (const at::ScalarType type : kTypes) {
    Operands operands = exact_operands({1, 4, 4}, 32, type);
    operands.x[0][3][2][2] = std::numeric_limits<double>::quiet_NaN();
    operands.grad_y[0][5][1][1] = std::numeric_limits<double>::infinity();
    const Results found = as_on_cuda(operands, true);
    EXPECT_TRUE(std::isnan(found.y[0][3][2][2].item<double>()));
    EXPECT_EQ(at::isnan(found.y).sum().item<std::int64_t>(), 1);
    EXPECT_FALSE(std::isnan(found.of_gradient.sum[3].item<double>()));
    EXPECT_TRUE(at::equal(at::isnan(found.y), at::isnan(on_cpu(operands, true).y)));
    EXPECT_TRUE(at::equal(found.of_gradient.sum, on_cpu(operands, true).of_gradient.sum));
  }
}

TEST(NormPass, AnyLayoutGivesTheSameBits) {
  for (const at::ScalarType type : kTypes) {
    const Operands operands = exact_operands({2, 5, 7}, 64, type);
    Operands moved = operands;
    moved.grad_y = operands.grad_y.contiguous();
    // One element further on in memory: packs of four would begin between two.
    const at::Tensor memory =
        at::empty({operands.x.numel() + 1}, operands.x.options()).narrow(0, 1, operands.x.numel());
    moved.x = memory.view({2, 5, 7, 64}).permute({0, 3, 1, 2}).copy_(operands.x);
    ASSERT_NE(reinterpret_cast<std::uintptr_t>(moved.x.const_data_ptr()) % 16, 0U);
    expect_same_bits(as_on_cuda(moved, true), as_on_cuda(operands, true));
  }
}

/// All that training computes for each channel.
struct Trained {
  NormStatistics statistics;
  at::Tensor running_mean, running_var;
  NormGradientFactors factors;
  at::Tensor grad_weight, grad_bias;
};

Trained trained_by(const Norm& by, const Operands& in, const SumOverRanks& sum_over_ranks,
                   const at::Tensor& bias_of_x) {
  Trained found;
  found.running_mean = in.a.clone();
  found.running_var = in.b.clone();
  found.statistics = by.statistics(in.x,
                                   {.weight = in.scale,
                                    .bias = in.shift,
                                    .running_mean = found.running_mean,
                                    .running_var = found.running_var,
                                    .bias_of_x = bias_of_x},
                                   sum_over_ranks);
  found.grad_weight = in.c.clone();  // what is there stays: gradients are added
  found.grad_bias = in.a.clone();
  const NormOperands operands = {in.grad_y, in.x, found.statistics.scale, found.statistics.shift};
  found.factors = by.factors(operands, found.statistics, in.scale, {found.grad_weight, found.grad_bias},
                             /*relu=*/true, sum_over_ranks);
  return found;
}

/// The same in tensor operations, one rounding each.
Trained trained_by_aten(const Norm& by, const Operands& in, const at::Tensor& bias_of_x) {
  const std::int64_t channels = in.x.size(1);
  const double count = static_cast<double>(in.x.numel()) / static_cast<double>(channels);
  const auto type = in.scale.scalar_type();
  const ChannelSums of_x = handed_over(channels, count, [&](const SumOverRanks& sum) {
    std::ignore = by.statistics(in.x, {in.scale, in.shift}, sum);
  });
  const at::Tensor mean = of_x.sum / count;
  const at::Tensor variance = (of_x.dot / count - mean * mean).clamp_min(0.0);
  const at::Tensor inverse = (variance + 1e-5).rsqrt();
  const at::Tensor weight = in.scale.to(at::kDouble);
  const at::Tensor scale = weight * inverse;
  Trained found;
  found.statistics = {mean, inverse, scale.to(type), (in.shift.to(at::kDouble) - mean * scale).to(type), count, {}};
  const at::Tensor seen = bias_of_x.defined() ? mean + bias_of_x.to(at::kDouble) : mean;
  found.running_mean = in.a.clone().lerp_(seen.to(type), 0.1);
  found.running_var = in.b.clone().lerp_((variance * count / (count - 1.0)).to(type), 0.1);

  const NormOperands operands = {in.grad_y, in.x, found.statistics.scale, found.statistics.shift};
  const ChannelSums g = handed_over(channels, 0.0, [&](const SumOverRanks& sum) {
    std::ignore = by.factors(operands, found.statistics, in.scale, {}, true, sum);
  });
  found.grad_weight = in.c + ((g.dot - g.sum * mean) * inverse).to(type);
  found.grad_bias = in.a + g.sum.to(type);
  const at::Tensor a = weight * inverse;
  const at::Tensor b = -a * inverse * ((g.dot - g.sum * mean) * inverse / count);
  found.factors = {a.to(type), b.to(type), (-a * g.sum / count - b * mean).to(type)};
  return found;
}

Named named(const Trained& t) {
  return {{"mean", t.statistics.mean},
          {"inverse deviation", t.statistics.inverse_deviation},
          {"scale", t.statistics.scale},
          {"shift", t.statistics.shift},
          {"running mean", t.running_mean},
          {"running variance", t.running_var},
          {"a", t.factors.a},
          {"b", t.factors.b},
          {"c", t.factors.c},
          {"gradient of weight", t.grad_weight},
          {"gradient of bias", t.grad_bias}};
}

TEST(NormChannels, AreWhatTensorOperationsGiveToTheBit) {
  for (const at::ScalarType type : kTypes) {
    for (const std::int64_t channels : {1, 7, 64, 513}) {
      const Operands in = rounded_operands({3, 17, 13}, channels, type);
      for (const at::Tensor& bias_of_x : {at::Tensor(), in.c}) {
        for (const Norm& by : {kCpu, kAsOnCuda}) {
          SCOPED_TRACE(testing::Message() << c10::toString(type) << ", " << channels << " channels, "
                                          << (by.statistics == kCpu.statistics ? "CPU" : "as on CUDA"));
          const Named expected = named(trained_by_aten(by, in, bias_of_x));
          const Named solo = named(trained_by(by, in, {}, bias_of_x));
          const Named one_of_ranks = named(trained_by(
              by, in, [](const at::Tensor&) {}, bias_of_x));
          for (std::size_t i = 0; i < expected.size(); ++i) {
            EXPECT_EQ(solo[i].second.scalar_type(), expected[i].second.scalar_type()) << expected[i].first;
            EXPECT_TRUE(at::equal(solo[i].second, expected[i].second)) << expected[i].first;
            EXPECT_TRUE(at::equal(one_of_ranks[i].second, expected[i].second)) << expected[i].first;
          }
        }
      }
    }
  }
}

TEST(NormChannels, NanStaysNan) {
  Operands in = rounded_operands({1, 4, 4}, 8, at::kFloat);
  in.x[0][3][2][2] = std::numeric_limits<double>::quiet_NaN();
  for (const Norm& by : {kCpu, kAsOnCuda}) {
    const Trained found = trained_by(by, in, {}, {});
    EXPECT_TRUE(std::isnan(found.statistics.scale[3].item<double>()));
    EXPECT_TRUE(std::isnan(found.running_var[3].item<double>()));
    EXPECT_EQ(at::isnan(found.statistics.scale).sum().item<std::int64_t>(), 1);
  }
}

TEST(NormPass, GridsAreSmallAndCoverEveryRowOnce) {
  for (const std::int64_t channels : {1, 2, 4, 37, 64, 2048, 100000}) {
    for (const std::int64_t rows :
         {std::int64_t{0}, std::int64_t{1}, std::int64_t{255}, std::int64_t{1} << 20, (std::int64_t{1} << 33) + 5}) {
      const NormGrid grid = norm_grid(rows, channels);
      EXPECT_TRUE(grid.tiles * grid.slices <= kNormMaxBlocks || grid.slices == 1) << rows << " x " << channels;
      EXPECT_GE(grid.tiles * grid.lanes * grid.pack, channels);
      std::int64_t end = 0;
      for (std::int64_t slice = 0; slice < grid.slices; ++slice) {
        const NormPart part = norm_part(grid, 0, slice, 0);
        EXPECT_EQ(part.first, end);
        end = part.last;
      }
      EXPECT_EQ(end, rows);
    }
  }
}

TEST(NormPass, RefusesWhatHasNoElements) {
  const at::Tensor scale = at::ones({4}, at::kFloat);
  EXPECT_THROW(std::ignore = by_elements::scale_shift(at::empty({1, 4, 2, 2}, at::kMeta), scale, scale, true), Error);
  EXPECT_THROW(std::ignore = by_elements::scale_shift(at::empty({1, 4, 2, 2}, at::kHalf), scale, scale, true), Error);
}

}  // namespace
}  // namespace xtasc::kernels
