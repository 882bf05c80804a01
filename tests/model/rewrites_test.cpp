#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <optional>

#include "core/cuda_forms.hpp"
#include "kernels/epilogue/fused_convolution.hpp"
#include "kernels/tiles/tiled_convolution.hpp"
#include "kernels/upsample/upsampled_convolution.hpp"
#include "kernels/winograd/winograd.hpp"
#include "model/layers.hpp"
#include "support/nets.hpp"
#include "support/tier.hpp"
#include "train/step.hpp"

namespace xtasc {
namespace {

double deviation(const at::Tensor& found, const at::Tensor& expected) {
  const double norm = expected.to(at::kDouble).norm().item<double>();
  return (found.to(at::kDouble) - expected.to(at::kDouble)).norm().item<double>() / std::max(norm, 1e-30);
}

at::Tensor running_statistics(const train::Learner& learner) {
  std::vector<at::Tensor> all;
  for (const auto& [name, tensor] : learner.net.parameters().buffers()) {
    all.push_back(tensor.flatten());
  }
  return at::cat(all);
}

/// Away from the zeros that they begin with.
void shift_biases(const train::Learner& learner) {
  const c10::NoGradGuard no_grad;
  at::manual_seed(3);
  for (const auto& [name, tensor] : learner.net.parameters().parameters()) {
    if (name.ends_with(".bias")) {
      tensor.add_(0.1 * at::randn_like(tensor));
    }
  }
}

// A whole step, every rewrite against the plain form.

class RewrittenStep : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(RewrittenStep, AgreesWithThePlainFormInFloat64) {
  struct Outcome {
    std::vector<model::NamedTensor> predictions;
    at::Tensor losses, gradients, running;  ///< running: the batch norms' statistics after the step
  };
  const data::Batch batch = test::rows(test::random_batch(5, 4, 5, 64, 96), {0, 4}, at::kDouble);
  const auto outcome = [&](const char* rewrites, bool as_on_cuda = false) {
    std::optional<CudaForms> forms;
    if (as_on_cuda) {
      forms.emplace();
    }
    auto assignments = GetParam();
    assignments.push_back(std::string("train.rewrites=") + rewrites);
    const auto config = test::step_config(assignments);
    const auto communicator = dist::make_solo_communicator();
    train::Learner learner(config, 5, at::kCPU);
    shift_biases(learner);
    train::Step step(config, learner, *communicator);
    const train::StepResult result = step.compute(batch);
    return Outcome{result.predictions.named(), result.losses, learner.net.parameters().flat_gradients().clone(),
                   running_statistics(learner)};
  };
  const Outcome plain = outcome("false");
  for (const bool as_on_cuda : {false, true}) {
    SCOPED_TRACE(as_on_cuda ? "CUDA's forms" : "the CPU's forms");
    const Outcome rewritten = outcome("true", as_on_cuda);
    for (std::size_t i = 0; i < plain.predictions.size(); ++i) {
      const auto& [name, expected] = plain.predictions[i];
      EXPECT_LT(deviation(rewritten.predictions[i].tensor, expected), 1e-9) << name;
    }
    EXPECT_LT(deviation(rewritten.losses, plain.losses), 1e-9);
    EXPECT_LT(deviation(rewritten.gradients, plain.gradients), 1e-9);
    EXPECT_FALSE(at::equal(rewritten.gradients, plain.gradients)) << "nothing was rewritten";
    EXPECT_LT(deviation(rewritten.running, plain.running), 1e-9);
  }
}

std::vector<std::vector<std::string>> rewritten_cases() {
  std::vector<std::vector<std::string>> cases = {
      {},
      {"train.activation_checkpointing=true", "model.ttnet_batch_norm=true"},
      {"train.pad_channels=true"},
      {"weighting.method=pcgrad", "model.decoder_width=32", "model.ttnet_widths=[16, 24, 40]"}};
  if (test::is_long_tier()) {
    cases.push_back({"model.ttnet_batch_norm=true"});
    cases.push_back({"weighting.method=gradnorm"});
    cases.push_back({"weighting.method=famo"});
    cases.push_back({"model.system=deeplab", "model.dropout=0"});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Forms, RewrittenStep, testing::ValuesIn(rewritten_cases()));

/// Whether a convolution takes a form of ours, on tiles where the processor multiplies them.
bool suits_kernels(const model::Joined& x, const model::Convolution& convolution, at::ScalarType type) {
  return kernels::suits_tiles(x, convolution, type) || kernels::suits_winograd(x, convolution, type);
}

/// Whether this processor has our own kernels' instructions for a type.
bool has_avx512_for(at::ScalarType type) {
  model::ParameterSet set(1, at::kCPU, type == at::kDouble ? at::kDouble : at::kFloat);
  const auto layer = model::make_convolution(set, {.name = "layer", .in = 16, .out = 16});
  set.flatten();
  return suits_kernels({at::zeros({4, 16, 64, 64}), {}}, layer, type);
}

/// The forms on CUDA read one flat copy of the weights in bfloat16, and add gradients of that type where they lie.
TEST(CudaFormsInBfloat16, ReadTheFlatCopyOfTheWeights) {
  const auto config = test::step_config({"run.precision=bf16"});
  const train::Learner learner(config, 5, at::kCPU);
  shift_biases(learner);
  const at::Tensor flat = learner.net.parameters().flat_values().detach().to(at::kBFloat16);
  for (const auto& [name, tensor] : learner.net.parameters().parameters()) {
    const at::Tensor read = kernels::in_compute_type(tensor, {.compute = at::kBFloat16, .flat_weights = flat});
    EXPECT_TRUE(at::equal(read, tensor.detach().to(at::kBFloat16))) << name;
  }
}

TEST(CudaFormsInBfloat16, TwoStepsAreCloseToThePlainForms) {
  const data::Batch batch = test::rows(test::random_batch(5, 4, 5, 64, 96), {0, 4}, at::kFloat);
  const auto outcome = [&](const std::string& precision, const std::string& rewrites, bool as_on_cuda) {
    std::optional<CudaForms> forms;
    if (as_on_cuda) {
      forms.emplace();
    }
    const auto config = test::step_config({"run.precision=" + precision, "train.rewrites=" + rewrites});
    const auto communicator = dist::make_solo_communicator();
    train::Learner learner(config, 5, at::kCPU);
    shift_biases(learner);
    train::Step step(config, learner, *communicator);
    step.compute(batch);
    step.update(1e-4);
    const train::StepResult second = step.compute(batch);  // a stale copy of the weights would show
    return std::pair{second.losses.clone(), learner.net.parameters().flat_gradients().clone()};
  };
  const auto [exact_losses, exact_gradients] = outcome("fp32", "false", false);
  const auto [plain_losses, plain_gradients] = outcome("bf16", "false", false);
  const auto [losses, gradients] = outcome("bf16", "true", true);
  EXPECT_LT(deviation(losses, exact_losses), 2e-2);
  // How bf16 rounds is a processor's own: without AVX-512 the plain form says how much. (The first step's: 0.36.)
  if (has_avx512_for(at::kBFloat16)) {
    EXPECT_LT(deviation(gradients, plain_gradients), 0.2);
  } else {
    EXPECT_LT(deviation(gradients, exact_gradients), 1.1 * deviation(plain_gradients, exact_gradients));
  }
}

// Evaluation with batch norm folded into the convolutions.

/// A learner whose batch norms are no longer what they were made as.
void disturb_norms(const train::Learner& learner) {
  const c10::NoGradGuard no_grad;
  at::manual_seed(7);
  for (const auto& [name, tensor] : learner.weights()) {
    if (name.ends_with(".running_var")) {
      tensor.copy_(at::rand_like(tensor) * 2.0 + 0.2);
    } else if (name.ends_with(".running_mean") || (tensor.dim() == 1 && name.ends_with(".bias"))) {
      tensor.copy_(at::randn_like(tensor) * 0.3);
    } else if (tensor.dim() == 1 && name.ends_with(".weight")) {
      tensor.copy_(at::rand_like(tensor) + 0.5);
    }
  }
}

class FoldedNet : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(FoldedNet, AgreesWithThePlainFormInFloat64) {
  const auto config = test::step_config(GetParam());
  const train::Learner learner(config, 5, at::kCPU);
  disturb_norms(learner);
  const at::Tensor before = learner.net.parameters().flat_values().clone();
  const at::Tensor image = test::random_batch(5, 3, 5, 64, 96).image_n3hw.to(at::kDouble);
  const c10::NoGradGuard no_grad;
  const auto predictions = [&](const model::Network& net, bool rewrites) {
    const auto all = net.forward(image, {.compute = at::kDouble, .rewrites = rewrites});
    std::vector<at::Tensor> defined;
    for (const auto& [name, one] : all.named()) {
      defined.push_back(one);
    }
    return defined;
  };
  const auto plain = predictions(learner.net, false);
  const auto folded = predictions(*learner.net.folded(), true);
  ASSERT_EQ(folded.size(), plain.size());
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_LT(deviation(folded[i], plain[i]), 1e-9) << "prediction " << i;
    EXPECT_FALSE(at::equal(folded[i], plain[i])) << "nothing was folded";
  }
  EXPECT_TRUE(at::equal(learner.net.parameters().flat_values(), before));
  EXPECT_ANY_THROW(static_cast<void>(learner.net.folded()->forward(image, {.training = true, .compute = at::kDouble})));
}

TEST_P(FoldedNet, IsAsCloseToFloat64InBfloat16) {
  auto assignments = GetParam();
  assignments.emplace_back("run.precision=fp32");
  assignments.emplace_back("model.decoder_width=32");
  const train::Learner learner(test::step_config(assignments), 5, at::kCPU);
  assignments.emplace_back("run.precision=fp64");
  const train::Learner exact(test::step_config(assignments), 5, at::kCPU);
  disturb_norms(learner);
  const c10::NoGradGuard no_grad;
  const auto from = learner.weights();
  const auto to = exact.weights();
  for (std::size_t i = 0; i < to.size(); ++i) {
    to[i].second.copy_(from[i].second);
  }
  const at::Tensor image = test::random_batch(5, 3, 5, 64, 96).image_n3hw;
  const auto first_of = [](const model::Predictions& all) {
    return all.of("seg").defined() ? all.of("seg") : all.of("depth");
  };
  const at::Tensor expected = first_of(exact.net.forward(image.to(at::kDouble), {.compute = at::kDouble}));
  const model::Mode mode = {.compute = at::kBFloat16};
  const double plain = deviation(first_of(learner.net.forward(image, mode)), expected);
  const double folded = deviation(first_of(learner.net.folded()->forward(image, mode)), expected);
  EXPECT_LT(folded, 1.5 * plain);
  RecordProperty("plain", std::to_string(plain));
  RecordProperty("folded", std::to_string(folded));
}

INSTANTIATE_TEST_SUITE_P(Forms, FoldedNet,
                         testing::Values(std::vector<std::string>{}, std::vector<std::string>{"model.system=base_mt"},
                                         std::vector<std::string>{"model.system=base_st_depth"},
                                         std::vector<std::string>{"model.ttnet_batch_norm=true"},
                                         std::vector<std::string>{"model.encoder=resnet50"}));

// Single layers, in each of the three types, against float64 in the plain form.

struct LayerCase {
  at::ScalarType type;
  std::int64_t first, second, out, height, width;
  bool relu, upsampled, skip;
  double tolerance;
};

class RewrittenLayer : public testing::TestWithParam<LayerCase> {
 protected:
  void SetUp() override {
    const auto type = GetParam().type;
    if (!has_avx512_for(type)) {
      GTEST_SKIP() << "this processor has not the AVX-512 that is needed for " << c10::toString(type);
    }
  }
};

TEST_P(RewrittenLayer, ForwardAndBackwardAreThePlainOnes) {
  const LayerCase c = GetParam();
  at::manual_seed(3);
  const auto wide = c.type == at::kDouble ? at::kDouble : at::kFloat;
  model::ParameterSet set(1, at::kCPU, wide);
  model::Convolution layer = model::make_convolution(set, {.name = "layer", .in = c.first + c.second, .out = c.out});
  set.flatten();
  {
    const c10::NoGradGuard no_grad;
    layer.bias.copy_(at::randn({c.out}));
  }
  const std::int64_t scale = c.upsampled && c.skip ? 2 : 1;
  const auto input = [&](std::int64_t channels, std::int64_t factor) {
    return channels == 0 ? at::Tensor()
                         : at::randn({3, channels, factor * c.height, factor * c.width})
                               .to(c.type)
                               .contiguous(at::MemoryFormat::ChannelsLast);
  };
  const at::Tensor first = input(c.first, 1);
  const at::Tensor second = input(c.second, scale);
  const std::int64_t out_scale = c.upsampled ? 2 : 1;
  const at::Tensor grad_y = at::randn({3, c.out, out_scale * c.height, out_scale * c.width}).to(c.type);

  const auto run = [&](const model::Convolution& convolution, at::ScalarType type, bool rewrites) {
    const model::Mode mode = {.training = true, .compute = type, .rewrites = rewrites};
    const auto activation = c.relu ? model::Activation::relu : model::Activation::none;
    const auto leaf = [&](const at::Tensor& x) {
      return x.defined() ? x.detach().to(type).clone().set_requires_grad(true) : x;
    };
    const at::Tensor a = leaf(first);
    const at::Tensor b = leaf(second);
    at::Tensor y;
    if (!c.upsampled) {
      EXPECT_TRUE(!rewrites || suits_kernels({a, b}, convolution, type));
      y = model::convolve({a, b}, convolution, mode, activation);
    } else {
      const model::Joined low = {a, c.skip ? at::Tensor() : b};
      const at::Tensor skip = c.skip ? b : at::Tensor();
      EXPECT_TRUE(!rewrites || kernels::suits_low_size(low, skip, convolution, type));
      y = model::convolve_upsampled(low, skip, convolution, mode, activation);
    }
    y.backward(grad_y.to(type));
    std::vector<at::Tensor> all = {y.detach(), a.grad(), convolution.weight.grad().clone(),
                                   convolution.bias.grad().clone()};
    if (b.defined()) {
      all.push_back(b.grad());
    }
    return all;
  };
  model::ParameterSet exact_set(1, at::kCPU, at::kDouble);
  model::Convolution exact_layer =
      model::make_convolution(exact_set, {.name = "layer", .in = c.first + c.second, .out = c.out});
  exact_set.flatten();
  {
    const c10::NoGradGuard no_grad;
    exact_layer.weight.copy_(layer.weight);
    exact_layer.bias.copy_(layer.bias);
  }
  const auto expected = run(exact_layer, at::kDouble, false);
  const auto found = run(layer, c.type, true);
  ASSERT_EQ(found.size(), expected.size());
  const std::vector<const char*> names = {"y", "grad first", "grad weight", "grad bias", "grad second"};
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_LT(deviation(found[i], expected[i]), c.tolerance) << names[i];
  }
}

std::vector<LayerCase> layer_cases() {
  std::vector<LayerCase> cases;
  // A ReLU near zero may fall to either side: its gradient is then another one, so the narrow types get room for that.
  for (const auto& [type, tolerance] : {std::pair{at::kDouble, 1e-12}, {at::kFloat, 2e-3}, {at::kBFloat16, 8e-2}}) {
    cases.push_back({type, 16, 0, 16, 31, 33, false, false, false, type == at::kFloat ? 1e-5 : tolerance});
    cases.push_back({type, 32, 16, 64, 28, 26, true, false, false, tolerance});
    cases.push_back({type, 32, 0, 48, 15, 17, true, true, false, tolerance});
    cases.push_back({type, 16, 48, 64, 14, 13, true, true, false, tolerance});
    cases.push_back({type, 32, 16, 32, 16, 15, false, true, true, type == at::kFloat ? 1e-5 : tolerance});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Types, RewrittenLayer, testing::ValuesIn(layer_cases()));

/// Without the taps that read padding alone: on maps of 13 x 20, of distances at which all taps are left, three, and
/// one.
class DilatedLayer : public testing::TestWithParam<std::int64_t> {};

TEST_P(DilatedLayer, ForwardAndBackwardAreThePlainOnes) {
  const at::Tensor x = at::randn({2, 8, 13, 20}, at::detail::createCPUGenerator(1), at::kDouble);
  const at::Tensor grad_y = at::randn({2, 5, 13, 20}, at::detail::createCPUGenerator(2), at::kDouble);
  const auto run = [&](bool rewrites, bool as_on_cuda) {
    std::optional<CudaForms> forms;
    if (as_on_cuda) {
      forms.emplace();
    }
    model::ParameterSet set(1, at::kCPU, at::kDouble);
    const model::Convolution layer =
        model::make_convolution(set, {.name = "layer", .in = 8, .out = 5, .dilation = GetParam()});
    set.flatten();
    const model::Mode mode = {.training = true,
                              .compute = at::kDouble,
                              .rewrites = rewrites,
                              .flat_weights = as_on_cuda ? set.flat_values().detach() : at::Tensor(),
                              .gradients_in_place = as_on_cuda};
    const at::Tensor leaf = x.clone().requires_grad_(true);
    const at::Tensor y = model::convolve({leaf, {}}, layer, mode, model::Activation::relu);
    y.backward(grad_y);
    return std::vector<at::Tensor>{y.detach(), leaf.grad(), set.flat_gradients().clone()};
  };
  const auto plain = run(false, false);
  EXPECT_EQ(plain.front().sizes(), grad_y.sizes());
  for (const bool as_on_cuda : {false, true}) {
    const auto found = run(true, as_on_cuda);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      EXPECT_GT(plain[i].norm().item<double>(), 0.0);
      EXPECT_LT(deviation(found[i], plain[i]), 1e-13) << i;
    }
  }
  // What is left of the weight, as the arithmetic has it.
  EXPECT_EQ(kernels::reading_taps(3, GetParam(), 13), GetParam() < 13 ? 3 : 1);
  EXPECT_EQ(kernels::reading_taps(3, GetParam(), 20), GetParam() < 20 ? 3 : 1);
}

INSTANTIATE_TEST_SUITE_P(Distances, DilatedLayer, testing::Values(1, 2, 12, 13, 19, 20));

}  // namespace
}  // namespace xtasc
