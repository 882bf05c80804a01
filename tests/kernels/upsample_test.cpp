#include "kernels/upsample/upsample.hpp"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/cuda_forms.hpp"
#include "kernels/upsample/upsample_element.hpp"
#include "model/layers.hpp"

namespace xtasc::kernels {
namespace {

at::Tensor random(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::detail::createCPUGenerator(seed), at::kDouble);
}

/// Output and input gradient under the same output gradient.
std::pair<at::Tensor, at::Tensor> both(const at::Tensor& input, at::Tensor (*upsample)(const at::Tensor&)) {
  const at::Tensor x = input.detach().requires_grad_(true);
  const at::Tensor y = upsample(x);
  y.backward(random(y.sizes(), 5).to(y.scalar_type()));
  return {y.detach(), x.grad()};
}

double deviation(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

/// One pixel, one row or column, odd sizes; channels that fill packs of 16 bytes and that do not.
std::vector<std::vector<std::int64_t>> shapes() {
  std::vector<std::vector<std::int64_t>> all;
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 5}, {2, 2}, {3, 7}, {12, 16}, {33, 2}}) {
    for (const std::int64_t channels : {1, 7, 8, 13, 20, 64}) {
      all.push_back({2, channels, height, width});
    }
  }
  // More channels than a block has threads, and more packs.
  all.push_back({1, 301, 2, 3});
  all.push_back({1, 8 * 257, 1, 2});
  return all;
}

TEST(Upsample, ElementsAreAtens) {
  for (const auto& shape : shapes()) {
    const at::Tensor x = random(shape, 1);
    const auto [y, gradient] = both(x, upsample_by_elements);
    const auto [y_aten, gradient_aten] = both(x, upsample_twice);
    EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
    EXPECT_LT(deviation(y, y_aten), 1e-14) << x.sizes();
    EXPECT_LT(deviation(gradient, gradient_aten), 1e-13) << x.sizes();
  }
}

TEST(Upsample, FloatAndBfloat16RoundOnce) {
  for (const auto& shape : shapes()) {
    const at::Tensor x = random(shape, 2);
    for (const auto& [type, bound] : {std::pair{at::kFloat, 1e-5}, {at::kBFloat16, 2e-2}}) {
      // Float32 places an output among 33 rows to 2e-6 of one.
      const auto [y, gradient] = both(x.to(type), upsample_by_elements);
      const auto [y_exact, gradient_exact] = both(x.to(type).to(at::kDouble), upsample_twice);
      EXPECT_LT(deviation(y, y_exact), bound) << x.sizes();
      // The upper gradient is rounded to the type too.
      EXPECT_LT(deviation(gradient, gradient_exact), 4.0 * bound) << x.sizes();
    }
  }
}

/// CUDA's two matrix products against ATen, to eight times the size and to sizes that are no multiple.
TEST(Upsample, ToAnySizeByProductsIsAtens) {
  for (const auto& [from, to] :
       {std::pair{std::array{4, 6}, std::array{32, 48}}, {{1, 1}, {8, 8}}, {{5, 7}, {12, 10}}}) {
    for (const auto& [type, bound] : {std::pair{at::kDouble, 1e-13}, {at::kFloat, 1e-5}}) {
      const at::Tensor x = random({2, 13, from[0], from[1]}, 6).to(type);
      const auto run = [&, height = to[0], width = to[1]](bool as_on_cuda) {
        std::optional<CudaForms> forms;
        if (as_on_cuda) {
          forms.emplace();
        }
        const at::Tensor leaf = x.clone().requires_grad_(true);
        const at::Tensor y = upsample_to(leaf, height, width);
        y.backward(random(y.sizes(), 7).to(type));
        return std::pair{y.detach(), leaf.grad()};
      };
      const auto [y, gradient] = run(true);
      const auto [y_aten, gradient_aten] = run(false);
      EXPECT_EQ(y.sizes(), at::IntArrayRef({2, 13, to[0], to[1]}));
      EXPECT_LT(deviation(y, y_aten), bound) << x.sizes();
      EXPECT_LT(deviation(gradient, gradient_aten), 50.0 * bound) << x.sizes();
    }
  }
}

/// The same values, one element behind where packs may begin.
at::Tensor misaligned(const at::Tensor& x) {
  const at::Tensor memory = at::empty({x.numel() + 1}, x.options());
  const at::Tensor moved = memory.as_strided(x.sizes(), x.strides(), 1);
  moved.copy_(x);
  return moved;
}

TEST(Upsample, PacksAndSingleChannelsGiveTheSameBits) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16}) {
    const at::Tensor x = random({2, 16, 5, 9}, 4).to(type).contiguous(at::MemoryFormat::ChannelsLast);
    const auto [y, gradient] = both(x, upsample_by_elements);
    const auto [y_single, unused] = both(misaligned(x), upsample_by_elements);
    EXPECT_TRUE(at::equal(y, y_single));
    const at::Tensor z = x.detach().requires_grad_(true);
    const at::Tensor upper = random(y.sizes(), 5).to(type).contiguous(at::MemoryFormat::ChannelsLast);
    upsample_by_elements(z).backward(misaligned(upper));
    EXPECT_TRUE(at::equal(gradient, z.grad()));
  }
}

/// The weights of every input in every output, by the forward's rule and by the gradient's.
template <typename S>
void expect_one_rule(std::int32_t size) {
  const auto axis = upsample_axis<S>(size);
  for (std::int32_t k = 0; k < size; ++k) {
    std::vector<S> forward(static_cast<std::size_t>(2 * size)), backward(forward.size());
    for (std::int32_t i = 0; i < 2 * size; ++i) {
      const auto at = between_two(i, axis);
      forward[static_cast<std::size_t>(i)] =
          (at.low == k ? S{1} - at.weight_high : S{0}) + (at.high == k ? at.weight_high : S{0});
    }
    const UpsampleReach<S> reach(k, axis);
    for (int m = 0; m < UpsampleReach<S>::kOutputs; ++m) {
      backward.at(static_cast<std::size_t>(reach.output[m])) += reach.weight[m];
    }
    ASSERT_EQ(forward, backward) << "input " << k << " of " << size;
  }
}

TEST(Upsample, AnInputReachesNoOtherOutputsInFloatsEither) {
  for (std::int32_t size = 1; size < 130; ++size) {
    expect_one_rule<float>(size);
    expect_one_rule<double>(size);
  }
  expect_one_rule<float>(1023);
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

struct JoinedCase {
  std::int64_t low, beside;
  bool both_low;
};

/// Output and both gradients; the joined tensor is read by a product, so that its gradient has many values.
std::array<at::Tensor, 3> joined(const at::Tensor& low, const at::Tensor& beside,
                                 at::Tensor (*join)(const at::Tensor&, const at::Tensor&)) {
  const at::Tensor x = low.detach().requires_grad_(true);
  const at::Tensor z = beside.detach().requires_grad_(true);
  const at::Tensor y = join(x, z);
  (y * random(y.sizes(), 6).to(y.scalar_type())).sum().backward();
  return {y.detach(), x.grad(), z.grad()};
}

at::Tensor upsampled_and_joined(const at::Tensor& low, const at::Tensor& beside) {
  const bool both_low = beside.size(2) == low.size(2);
  return at::cat({upsample_by_elements(low), both_low ? upsample_by_elements(beside) : beside}, 1);
}

TEST(Upsample, JoinedIsUpsampleAndCatToTheBit) {
  for (const auto& [low, beside, both_low] :
       {JoinedCase{8, 16, false}, {8, 8, true}, {16, 3, false}, {7, 9, true}, {1, 1, false}, {5, 8, true}}) {
    for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16}) {
      const std::int64_t factor = both_low ? 1 : 2;
      const at::Tensor x = random({2, low, 3, 5}, 1).to(type);
      const at::Tensor z = random({2, beside, factor * 3, factor * 5}, 2).to(type);
      const auto found = joined(x, z, upsample_joined);
      const auto expected = joined(x, z, upsampled_and_joined);
      EXPECT_TRUE(found[0].is_contiguous(at::MemoryFormat::ChannelsLast));
      for (std::size_t i = 0; i < found.size(); ++i) {
        EXPECT_TRUE(at::equal(found[i], expected[i])) << low << " and " << beside << " channels, tensor " << i;
      }
    }
  }
}

/// Where the names of ATen's operations go.
std::vector<std::string>* operations = nullptr;

std::vector<std::string> operations_of(const std::function<void()>& run) {
  std::vector<std::string> names;
  operations = &names;
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback([](const at::RecordFunction& function) {
                                                   operations->emplace_back(function.name());
                                                   return std::unique_ptr<at::ObserverContext>();
                                                 }).scopes({at::RecordScope::FUNCTION}));
  run();
  at::removeCallback(handle);
  return names;
}

/// A convolution behind upsample and join, as a decoder (skip) and a task-transfer net (none) have it: on the meta
/// device, which takes CUDA's forms.
TEST(Upsample, NothingIsJoinedByCopiesWhereKernelsJoin) {
  const auto on_meta = at::TensorOptions(at::kMeta).dtype(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast);
  const Convolution convolution = {
      .weight = at::empty({8, 24, 3, 3}, on_meta).requires_grad_(true), .bias = {}, .padding = 1};
  const at::Tensor low = at::empty({2, 8, 4, 6}, on_meta).requires_grad_(true);
  for (const bool has_skip : {true, false}) {
    const at::Tensor skip = has_skip ? at::empty({2, 16, 8, 12}, on_meta).requires_grad_(true) : at::Tensor();
    const at::Tensor second = has_skip ? at::Tensor() : at::empty({2, 16, 4, 6}, on_meta).requires_grad_(true);
    for (const bool rewrites : {true, false}) {
      at::Tensor y;
      torch::autograd::variable_list gradients;
      const auto names = operations_of([&] {
        y = model::convolve_upsampled({low, second}, skip, convolution, {.rewrites = rewrites});
        gradients = torch::autograd::grad({y}, {low, has_skip ? skip : second}, {at::empty_like(y)});
      });
      EXPECT_EQ(y.sizes(), (std::vector<std::int64_t>{2, 8, 8, 12}));
      EXPECT_EQ(gradients[0].sizes(), low.sizes());
      EXPECT_EQ(gradients[1].sizes(), has_skip ? skip.sizes() : second.sizes());
      EXPECT_EQ(std::ranges::count(names, "aten::cat"), rewrites ? 0 : 1);
      // Joined by kernels, only the skip is copied; else every slice of a gradient that an upsample reads.
      EXPECT_EQ(std::ranges::count(names, "aten::copy_"), rewrites ? (has_skip ? 1 : 0) : (has_skip ? 1 : 2));
    }
  }
}

TEST(Upsample, JoinsNothingOfAnotherSizeOrType) {
  const at::Tensor low = at::zeros({1, 8, 3, 4});
  EXPECT_ANY_THROW(static_cast<void>(upsample_joined(low, at::zeros({1, 8, 6, 4}))));
  EXPECT_ANY_THROW(static_cast<void>(upsample_joined(low, at::zeros({2, 8, 6, 8}))));
  EXPECT_ANY_THROW(static_cast<void>(upsample_joined(low, at::zeros({1, 8, 6, 8}, at::kDouble))));
}

TEST(Upsample, AnEmptyBatchStaysEmpty) {
  const auto [y, gradient] = both(at::empty({0, 3, 4, 4}, at::kFloat), upsample_by_elements);
  EXPECT_EQ(y.sizes(), (std::vector<std::int64_t>{0, 3, 8, 8}));
  EXPECT_EQ(gradient.size(0), 0);
}

}  // namespace
}  // namespace xtasc::kernels
