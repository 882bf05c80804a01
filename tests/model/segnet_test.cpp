#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "model/network.hpp"
#include "net/networks.hpp"
#include "support/nets.hpp"
#include "train/setup.hpp"
#include "train/weights.hpp"

namespace xtasc::model {
namespace {

struct Counts {
  const char* system;
  const char* tasks;
  std::int64_t of_7_classes, of_13_classes;
};

config::RunConfig config_of(const std::string& system, const std::string& tasks, std::vector<std::string> more = {}) {
  more.push_back("model.system=" + system);
  more.push_back("model.tasks=" + tasks);
  return test::step_config(more);
}

class CountsOfTables : public testing::TestWithParam<Counts> {};

/// Those of the public modules, without what no prediction depends on (counted by instantiating them).
TEST_P(CountsOfTables, AreThePublicOnes) {
  const auto& [system, tasks, of_7_classes, of_13_classes] = GetParam();
  const auto config = config_of(system, tasks);
  for (const auto& [classes, expected] : {std::pair{7, of_7_classes}, {13, of_13_classes}}) {
    const auto net = make_network(config.model, classes, 1, at::kMeta, at::kFloat);
    EXPECT_EQ(net->parameters().num_parameters(), expected) << classes;
  }
}

constexpr const char* kBoth = "[\"segmentation\", \"depth\"]";
INSTANTIATE_TEST_SUITE_P(Public, CountsOfTables,
                         testing::Values(Counts{"segnet", "[\"segmentation\"]", 24980679, 24981069},
                                         Counts{"segnet", "[\"depth\"]", 24980289, 24980289},
                                         Counts{"segnet", kBoth, 25017672, 25018062},
                                         Counts{"stan", "[\"segmentation\"]", 38185415, 38185805},
                                         Counts{"stan", "[\"depth\"]", 38185025, 38185025},
                                         Counts{"mtan", kBoth, 41206984, 41207374},
                                         Counts{"kd4mtl", kBoth, 41206984 + 2 * 266240, 41207374 + 2 * 266240},
                                         Counts{"dense", kBoth, 90796893 - 41109, 90800757 - 44583},
                                         Counts{"cross_stitch", kBoth, 49960986, 49961376}),
                         [](const auto& test) { return fmt::format("{}{}", test.param.system, test.index); });

TEST(SegNets, EachParameterIsDescribedOnce) {
  for (const char* system : {"segnet", "mtan", "kd4mtl", "dense"}) {
    const auto config = config_of(system, kBoth);
    std::int64_t described = 0;
    for (const net::Convolution& layer : net::convolutions_of(config.model, 7)) {
      described += layer.num_parameters();
    }
    EXPECT_EQ(described, make_network(config.model, 7, 1, at::kMeta, at::kFloat)->parameters().num_parameters())
        << system;
  }
}

at::Tensor parameter_of(const Network& net, const std::string& name) {
  for (const NamedTensor& one : net.parameters().parameters()) {
    if (one.name == name) {
      return one.tensor.detach();
    }
  }
  fail("no parameter {}", name);
}

TEST(SegNets, CrossStitchBeginsAsItsFormSays) {
  const auto of_mtan = config_of("cross_stitch", kBoth);
  const auto shared = make_network(of_mtan.model, 7, 1, at::kCPU, at::kFloat);
  EXPECT_TRUE(at::equal(parameter_of(*shared, "cs_unit_encoder"), at::ones({4, 2})));
  EXPECT_TRUE(at::equal(parameter_of(*shared, "cs_unit_decoder"), at::ones({5, 2})));
  const at::Tensor weight = parameter_of(*shared, "encoder_block_t.1.3.0.weight");
  const double bound = std::sqrt(6.0 / ((256 + 512) * 9));  // uniform: none beyond it, and some near it
  EXPECT_LE(weight.abs().max().item<double>(), bound);
  EXPECT_GT(weight.max().item<double>(), 0.999 * bound);
  EXPECT_LT(weight.min().item<double>(), -0.999 * bound);

  const auto of_misra = config_of("cross_stitch", kBoth, {"model.cross_stitch=misra"});
  const auto apart = make_network(of_misra.model, 7, 1, at::kCPU, at::kFloat);
  const at::Tensor first = parameter_of(*apart, "cs_unit_decoder.2");  // of the third block from below
  EXPECT_EQ(first.sizes(), at::IntArrayRef({2, 2, 256}));
  const at::Tensor diagonal = at::eye(2).mul(0.8).add(0.1).unsqueeze(2).expand({2, 2, 256});
  EXPECT_TRUE(at::allclose(first, diagonal));
}

/// Heads by position in model.tasks; the same names as the public code's.
TEST(SegNets, HeadsFollowTheOrderOfTheTasks) {
  const auto config = config_of("mtan", "[\"depth\", \"segmentation\"]");
  const auto net = make_network(config.model, 7, 1, at::kMeta, at::kFloat);
  EXPECT_EQ(parameter_of(*net, "pred_task1.1.weight").size(0), 1);
  EXPECT_EQ(parameter_of(*net, "pred_task2.1.weight").size(0), 7);
  EXPECT_EQ(net->tasks().front().key, "depth");
}

/// What the public classes save beside the weights is let go; anything else is named.
TEST(SegNets, FilesOfThePublicCodeOpen) {
  const std::vector<std::pair<const char*, std::vector<std::string>>> saved = {
      {"segnet", {"logsigma", "pred_task3.1.weight"}},
      {"mtan", {"logsigma", "encoder_att.2.0.0.weight", "decoder_att.2.0.4.running_mean"}},
      {"kd4mtl", {"logsigma", "encoder_att.2.0.0.weight"}},
      {"dense", {"logsigma", "decoder_block.0.3.weight", "decoder_block.0.4.running_var"}},
      {"cross_stitch", {"logsigma"}}};
  for (const auto& [system, names] : saved) {
    const config::RunConfig config = config_of(system, kBoth);
    train::Learner learner(config, 7, at::kMeta);
    tensorfile::TensorDict file;
    for (const auto& [name, tensor] : learner.weights()) {
      file[name] = tensor.detach();
    }
    for (const std::string& name : names) {
      file[name] = at::zeros({3});
    }
    std::erase_if(file, [](const auto& named) { return named.first.starts_with("adaptor_"); });  // never saved there
    file["encoder_block.0.1.num_batches_tracked"] = at::zeros({}, at::kLong);
    EXPECT_NO_THROW(train::load_weights(learner, "w.pt", file)) << system;
    file["encoder_att.2.1.0.weight"] = at::zeros({3});
    try {
      train::load_weights(learner, "w.pt", file);
      ADD_FAILURE() << system << ": a third task's attention was let go";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("1 left over"), std::string::npos) << error.what();
    }
  }
}

/// In evaluation mode with running statistics that are none of the initial ones.
TEST(SegNets, FoldedNetsPredictTheSame) {
  for (const char* system : {"segnet", "mtan", "dense", "cross_stitch", "adamt", "deeplab"}) {
    const auto config = config_of(system, kBoth);
    const auto net = make_network(config.model, {3, 32, 32}, 1, at::kCPU, at::kDouble);
    const c10::NoGradGuard no_grad;
    at::manual_seed(2);
    for (const auto* tensors : {&net->parameters().parameters(), &net->parameters().buffers()}) {
      for (const auto& [name, tensor] : *tensors) {
        if (name.ends_with("running_var") || (tensor.dim() == 1 && name.ends_with("weight"))) {
          tensor.uniform_(0.5, 1.5);
        } else if (tensor.dim() == 1) {
          tensor.normal_(0.0, 0.1);
        }
      }
    }
    const Mode mode{.compute = at::kDouble};
    const at::Tensor image = test::random_batch(1, 1, 3, 32, 32).image_n3hw.to(at::kDouble);
    const Predictions expected = net->forward(image, mode);
    const Predictions found = net->folded()->forward(image, mode);
    for (const char* task : {"seg", "depth"}) {
      const double scale = expected.of(task).norm().item<double>();
      EXPECT_GT(scale, 0.1) << system << " " << task;
      EXPECT_LT((found.of(task) - expected.of(task)).norm().item<double>(), 1e-12 * scale) << system << " " << task;
    }
  }
}

}  // namespace
}  // namespace xtasc::model
