#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "model/batch_norm.hpp"
#include "model/network.hpp"

namespace xtasc::model {
namespace {

struct Counts {
  const char* encoder;
  std::int64_t classes, encoder_alone, seg, depth, seg_to_depth, depth_to_seg, all, direct;
};

class ParameterCounts : public testing::TestWithParam<Counts> {};

/// SPEC section 1; the totals agree with the paper's #P.
TEST_P(ParameterCounts, AreThePapers) {
  const Counts& expected = GetParam();
  const auto config = config::run_config_of({std::string("model.encoder=") + expected.encoder});
  const auto net = make_network(config.model, expected.classes, 1, at::kMeta, at::kFloat);
  const ParameterSet& set = net->parameters();
  EXPECT_EQ(set.num_parameters("encoder."), expected.encoder_alone);
  EXPECT_EQ(set.num_parameters("seg_decoder."), expected.seg);
  EXPECT_EQ(set.num_parameters("depth_decoder."), expected.depth);
  EXPECT_EQ(set.num_parameters("seg_to_depth."), expected.seg_to_depth);
  EXPECT_EQ(set.num_parameters("depth_to_seg."), expected.depth_to_seg);
  EXPECT_EQ(set.num_parameters(), expected.all);
  const auto direct = config::run_config_of({std::string("model.encoder=") + expected.encoder, "model.system=base_mt"});
  EXPECT_EQ(make_network(direct.model, expected.classes, 1, at::kMeta, at::kFloat)->parameters().num_parameters(),
            expected.direct);
}

INSTANTIATE_TEST_SUITE_P(
    Spec, ParameterCounts,
    testing::Values(Counts{"resnet18", 7, 11176512, 3250688, 3249920, 1885568, 1882496, 21445184, 17677120},
                    Counts{"resnet34", 7, 21284672, 3250688, 3249920, 1885568, 1882496, 31553344, 27785280},
                    Counts{"resnet34", 13, 21284672, 3251456, 3249920, 1889024, 1882880, 31557952, 27786048},
                    Counts{"resnet34", 19, 21284672, 3252224, 3249920, 1892480, 1883264, 31562560, 27786816},
                    Counts{"resnet50", 7, 23508032, 6568448, 6567680, 1885568, 1882496, 40412224, 36644160},
                    Counts{"resnet101", 7, 42500160, 6568448, 6567680, 1885568, 1882496, 59404352, 55636288},
                    Counts{"resnet152", 7, 58143808, 6568448, 6567680, 1885568, 1882496, 75048000, 71279936}),
    [](const auto& test) { return std::string(test.param.encoder) + "_" + std::to_string(test.param.classes); });

TEST(Net, PredictionsHaveTheImagesSize) {
  const auto config = config::run_config_of({"model.encoder=resnet18"});
  const auto net = make_network(config.model, 7, 1, at::kCPU, at::kFloat);
  const c10::NoGradGuard no_grad;
  const Predictions p = net->forward(at::zeros({2, 3, 64, 96}), {});
  EXPECT_EQ(p.of("seg").sizes(), at::IntArrayRef({2, 7, 64, 96}));
  EXPECT_EQ(p.of("depth").sizes(), at::IntArrayRef({2, 1, 64, 96}));
  EXPECT_EQ(p.of("seg", "depth").sizes(), at::IntArrayRef({2, 1, 64, 96}));
  EXPECT_EQ(p.of("depth", "seg").sizes(), at::IntArrayRef({2, 7, 64, 96}));
}

TEST(Net, RefusesOtherSizes) {
  const auto config = config::run_config_of({"model.encoder=resnet18"});
  const auto net = make_network(config.model, 7, 1, at::kCPU, at::kFloat);
  const c10::NoGradGuard no_grad;
  EXPECT_THROW(static_cast<void>(net->forward(at::zeros({1, 3, 60, 96}), {})), Error);
}

TEST(Net, WeightsAreAFunctionOfSeedAndName) {
  const auto config = config::run_config_of({"model.encoder=resnet18"});
  const auto values = [&](std::uint64_t seed) {
    return make_network(config.model, 7, seed, at::kCPU, at::kFloat)->parameters().flat_values();
  };
  EXPECT_TRUE(at::equal(values(1), values(1)));
  EXPECT_FALSE(at::equal(values(1), values(2)));
}

TEST(ParameterSet, StartsAsTheInitialisersSay) {
  ParameterSet set(1, at::kCPU, at::kDouble);
  const at::Tensor xavier = set.parameter("a", {64, 32, 3, 3}, Init::xavier_normal);
  const at::Tensor kaiming = set.parameter("b", {64, 32, 3, 3}, Init::kaiming_normal);
  set.flatten();
  EXPECT_NEAR(xavier.std().item<double>(), std::sqrt(2.0 / (96 * 9)), 1e-3);
  EXPECT_NEAR(kaiming.std().item<double>(), std::sqrt(2.0 / (64 * 9)), 1e-3);
  EXPECT_NEAR(xavier.mean().item<double>(), 0.0, 2e-3);
}

TEST(ParameterSet, ViewsAndFlatBuffersAreOneMemory) {
  ParameterSet set(1, at::kCPU, at::kFloat);
  const at::Tensor a = set.parameter("a", {4, 3, 3, 3}, Init::xavier_normal);
  const at::Tensor b = set.parameter("b", {5}, Init::ones);
  const at::Tensor before = a.detach().clone();
  set.flatten();
  EXPECT_TRUE(at::equal(a, before));
  EXPECT_TRUE(a.is_contiguous(at::MemoryFormat::ChannelsLast));
  (a.sum() * 2 + (b * b).sum()).backward();
  EXPECT_TRUE(at::equal(set.flat_gradients(), at::full({113}, 2.0F)));
  const c10::NoGradGuard no_grad;
  set.flat_values().zero_();
  EXPECT_EQ(b.sum().item<float>(), 0.0F);
}

// ---- batch norm against ATen's
// ---------------------------------------------------------------------------------------

struct NormCase {
  at::ScalarType type;
  std::int64_t channels;
  bool relu;
  double tolerance;
};

class BatchNormAgainstAten : public testing::TestWithParam<NormCase> {};

TEST_P(BatchNormAgainstAten, ForwardBackwardAndRunningStatistics) {
  const auto [type, channels, relu, tolerance] = GetParam();
  at::manual_seed(7);
  const auto wide = type == at::kDouble ? at::kDouble : at::kFloat;
  ParameterSet set(1, at::kCPU, wide);
  const BatchNorm ours = make_batch_norm(set, "bn", channels);
  set.flatten();
  {
    const c10::NoGradGuard no_grad;
    ours.weight.copy_(at::randn({channels}));
    ours.bias.copy_(at::randn({channels}));
  }
  const at::Tensor x = (at::randn({3, channels, 17, 13}) * 2 + 5).to(type).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor grad_y = at::randn({3, channels, 17, 13}).to(type);

  at::Tensor x_ours = x.clone().set_requires_grad(true);
  const at::Tensor y =
      batch_norm(x_ours, ours, {.training = true, .compute = type}, relu ? Activation::relu : Activation::none);
  y.backward(grad_y);

  // The reference computes in float64 from the same (rounded) numbers.
  at::Tensor x_ref = x.to(at::kDouble).set_requires_grad(true);
  at::Tensor w = ours.weight.detach().to(at::kDouble).set_requires_grad(true);
  at::Tensor b = ours.bias.detach().to(at::kDouble).set_requires_grad(true);
  at::Tensor mean = at::zeros({channels}, at::kDouble);
  at::Tensor var = at::ones({channels}, at::kDouble);
  at::Tensor y_ref = at::batch_norm(x_ref, w, b, mean, var, true, 0.1, 1e-5, false);
  y_ref = relu ? y_ref.relu() : y_ref;
  y_ref.backward(grad_y.to(at::kDouble));

  const auto deviation = [](const at::Tensor& a, const at::Tensor& reference) {
    return ((a.to(at::kDouble) - reference).norm() / reference.norm()).item<double>();
  };
  EXPECT_EQ(y.scalar_type(), type);
  EXPECT_LT(deviation(y, y_ref.detach()), tolerance);
  EXPECT_LT(deviation(x_ours.grad(), x_ref.grad()), tolerance);
  EXPECT_LT(deviation(ours.weight.grad(), w.grad()), tolerance);
  EXPECT_LT(deviation(ours.bias.grad(), b.grad()), tolerance);
  EXPECT_LT(deviation(ours.running_mean, mean), tolerance);
  EXPECT_LT(deviation(ours.running_var, var), tolerance);
}

INSTANTIATE_TEST_SUITE_P(Types, BatchNormAgainstAten,
                         testing::Values(NormCase{at::kDouble, 64, true, 1e-12},
                                         NormCase{at::kDouble, 37, false, 1e-12}, NormCase{at::kFloat, 128, true, 1e-5},
                                         NormCase{at::kFloat, 37, false, 1e-5}, NormCase{at::kBFloat16, 64, true, 1e-2},
                                         NormCase{at::kBFloat16, 5, false, 1e-2}),
                         [](const auto& test) {
                           return std::string(c10::toString(test.param.type)) + std::to_string(test.param.channels) +
                                  (test.param.relu ? "_relu" : "");
                         });

TEST(BatchNorm, EvaluationUsesRunningStatistics) {
  ParameterSet set(1, at::kCPU, at::kDouble);
  const BatchNorm norm = make_batch_norm(set, "bn", 8);
  set.flatten();
  norm.running_mean.fill_(2.0);
  norm.running_var.fill_(9.0);
  const c10::NoGradGuard no_grad;
  const at::Tensor x = at::randn({2, 8, 4, 4}, at::kDouble);
  const at::Tensor y = batch_norm(x, norm, {.training = false, .compute = at::kDouble}, Activation::none);
  EXPECT_TRUE(at::allclose(y, (x - 2.0) / std::sqrt(9.0 + 1e-5)));
}

TEST(BatchNorm, NanStaysNan) {
  ParameterSet set(1, at::kCPU, at::kFloat);
  const BatchNorm norm = make_batch_norm(set, "bn", 32);
  set.flatten();
  const c10::NoGradGuard no_grad;
  at::Tensor x = at::randn({1, 32, 4, 4}).to(at::kBFloat16);
  x[0][3][2][2] = NAN;
  const at::Tensor y = batch_norm(x, norm, {.training = false, .compute = at::kBFloat16}, Activation::relu);
  EXPECT_TRUE(at::isnan(y).sum().item<std::int64_t>() == 1);
}

TEST(BatchNorm, OneValueAChannelIsAnError) {
  ParameterSet set(1, at::kCPU, at::kFloat);
  const BatchNorm norm = make_batch_norm(set, "bn", 4);
  set.flatten();
  EXPECT_THROW(static_cast<void>(batch_norm(at::randn({1, 4, 1, 1}), norm, {.training = true}, Activation::none)),
               Error);
}

}  // namespace
}  // namespace xtasc::model
