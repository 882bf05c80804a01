#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/error.hpp"
#include "model/network.hpp"
#include "net/deeplab.hpp"
#include "support/nets.hpp"
#include "train/setup.hpp"
#include "train/weights.hpp"

namespace xtasc::model {
namespace {

using testing::ElementsAre;

config::ModelSection deeplab(const std::vector<std::string>& more = {}) {
  std::vector<std::string> assignments = {"model.system=deeplab"};
  assignments.insert(assignments.end(), more.begin(), more.end());
  return test::step_config(assignments).model;
}

/// LibMTL's own: of its encoder 23,508,032, of a head what follows from its channels.
TEST(Deeplab, CountsAreThePublicOnes) {
  const auto counted = [](std::int64_t classes, const std::string& prefix) {
    const auto net = make_network(deeplab({"model.encoder=resnet50"}), classes, 1, at::kMeta, at::kFloat);
    return net->parameters().num_parameters(prefix);
  };
  EXPECT_EQ(counted(7, "encoder."), 23508032);
  EXPECT_EQ(counted(7, "decoders.segmentation."), 16127239);
  EXPECT_EQ(counted(13, "decoders.segmentation."), 16128781);
  EXPECT_EQ(counted(13, "decoders.depth."), 16125697);
  EXPECT_EQ(counted(7, ""), 55760968);
  EXPECT_EQ(counted(13, ""), 71888721 - 16126211);  // of three tasks, without the third's head
}

/// The distances at which each encoder's convolutions of 3x3 read, layer by layer, and that nothing shrinks below 1/8.
TEST(Deeplab, EncodersKeepAnEighth) {
  using Distances = std::vector<std::int64_t>;
  const std::map<std::string, std::map<std::string, Distances>> expected = {
      {"resnet18",
       {{"encoder.layer2", {1, 1, 1, 1}}, {"encoder.layer3", {1, 2, 2, 2}}, {"encoder.layer4", {2, 4, 4, 4}}}},
      {"resnet50",
       {{"encoder.layer2", {1, 1, 1, 1}}, {"encoder.layer3", {1, 2, 2, 2, 2, 2}}, {"encoder.layer4", {2, 4, 4}}}}};
  for (const auto& [encoder, stages] : expected) {
    const net::Chain layers = net::deeplab_convolutions(net::choice_of(deeplab({"model.encoder=" + encoder}), 7));
    for (const auto& [stage, distances] : stages) {
      Distances found;
      for (const net::Convolution& layer : layers) {
        if (layer.kernel == 3 && layer.name.starts_with(stage)) {
          found.push_back(layer.dilation);
        }
        EXPECT_EQ(layer.stride > 1 && layer.shrunk > 8, false) << layer.name;
        EXPECT_LE(layer.shrunk, 8) << layer.name;
      }
      EXPECT_EQ(found, distances) << encoder << " " << stage;
    }
  }
}

/// A task whose mean branch has one pixel an image is refused a batch of one, whatever the image's size.
TEST(Deeplab, SmallestMapsOfNormsAreTheMeans) {
  EXPECT_EQ(net::fewest_normed_pixels(deeplab(), 288, 384), 1);
  EXPECT_EQ(net::fewest_normed_pixels(test::step_config({}).model, 288, 384), 9 * 12);
}

TEST(Deeplab, DropsValuesOfEachHeadByItsDraws) {
  const c10::NoGradGuard no_grad;
  const auto net = make_network(deeplab(), 3, 1, at::kCPU, at::kFloat);
  EXPECT_EQ(net->num_draws(), 4);
  EXPECT_EQ(make_network(deeplab({"model.dropout=0"}), 3, 1, at::kMeta, at::kFloat)->num_draws(), 0);
  const at::Tensor image = test::random_batch(1, 2, 3, 32, 64).image_n3hw;
  Mode mode{.training = true};
  EXPECT_THROW(static_cast<void>(net->forward(image, mode)), Error) << "no draws";
  mode.draws_nk = at::tensor({0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8}, at::kFloat).view({2, 4});
  const Predictions first = net->forward(image, mode);
  EXPECT_TRUE(at::equal(first.of("seg"), net->forward(image, mode).of("seg")));
  mode.draws_nk.narrow(1, 3, 1).fill_(0.9);  // depth's
  const Predictions second = net->forward(image, mode);
  EXPECT_TRUE(at::equal(first.of("seg"), second.of("seg")));
  EXPECT_FALSE(at::equal(first.of("depth"), second.of("depth")));
  EXPECT_EQ(first.of("seg").sizes(), at::IntArrayRef({2, 3, 32, 64}));
  EXPECT_EQ(first.of("depth").sizes(), at::IntArrayRef({2, 1, 32, 64}));
}

/// Names of LibMTL's state dict, of one head all of them.
TEST(Deeplab, TensorsAreCalledAsInThePublicCode) {
  const auto net = make_network(deeplab({"model.tasks=[\"depth\"]"}), 7, 1, at::kMeta, at::kFloat);
  std::vector<std::string> weights;
  for (const NamedTensor& one : net->parameters().parameters()) {
    if (one.name.starts_with("decoders.") && one.tensor.dim() == 4) {
      weights.push_back(one.name.substr(std::string("decoders.depth.").size()));
    }
  }
  EXPECT_THAT(weights,
              ElementsAre("0.convs.0.0.weight", "0.convs.1.0.weight", "0.convs.2.0.weight", "0.convs.3.0.weight",
                          "0.convs.4.1.weight", "0.project.0.weight", "1.weight", "4.weight"));
  std::map<std::string, at::Tensor> all;
  for (const auto* tensors : {&net->parameters().parameters(), &net->parameters().buffers()}) {
    for (const NamedTensor& one : *tensors) {
      all[one.name] = one.tensor;
    }
  }
  for (const char* name : {"decoders.depth.0.convs.4.2.running_var", "decoders.depth.0.project.1.bias",
                           "decoders.depth.2.running_mean", "decoders.depth.4.bias", "encoder.layer4.1.conv2.weight"}) {
    EXPECT_TRUE(all.contains(name)) << name;
  }
  EXPECT_FALSE(all.contains("decoders.depth.1.bias"));
}

/// ResNets saved by torchvision fit, and a file of the whole net tells its number of classes.
TEST(Deeplab, FilesOfThePublicCodeOpen) {
  train::Learner learner(test::step_config({"model.system=deeplab"}), 9, at::kMeta);
  tensorfile::TensorDict file;
  for (const auto& [name, tensor] : learner.weights()) {
    file[name] = tensor.detach();
  }
  file["encoder.bn1.num_batches_tracked"] = at::zeros({}, at::kLong);
  EXPECT_NO_THROW(train::load_weights(learner, "w.pt", file));
  EXPECT_EQ(train::num_classes_of(deeplab(), "w.pt", file), 9);
}

}  // namespace
}  // namespace xtasc::model
