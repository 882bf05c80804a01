// What xtasc-bench computes beside its measurements: executed arithmetic, the model of more ranks, what the peer
// follows.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function.h>

#include <nlohmann/json.hpp>
#include <set>

#include "kernels/winograd/winograd_avx512.hpp"
#include "launch/bench/executed_work.hpp"
#include "launch/bench/peer_config.hpp"
#include "net/work.hpp"
#include "support/nets.hpp"
#include "train/setup.hpp"

namespace xtasc::launch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kPixels = 128.0 * 256.0;

config::RunConfig config_of(const std::vector<std::string>& assignments) {
  return config::run_config_of(assignments);
}

ExecutedWork work_of(const config::RunConfig& config, std::int64_t images) {
  const train::Types types = train::types_of(config.run.precision);
  return executed_work(config, {.images = images, .height = 128, .width = 256, .num_classes = 7}, at::kCPU,
                       types.storage, types.compute);
}

bool has_kernels() {
  return kernels::winograd::is_supported(kernels::winograd::Element::float32);
}

TEST(ExecutedWork, IsThePlainFormsWithoutRewrites) {
  for (const char* method : {"equal", "pcgrad", "famo"}) {
    const auto config = config_of({"train.rewrites=false", std::string("weighting.method=") + method});
    const ExecutedWork found = work_of(config, 3);
    const net::ImageWork expected = net::work_of_image(config, 128, 256, 7);
    EXPECT_DOUBLE_EQ(found.parts.encoder, 3 * expected.parts.encoder);
    EXPECT_DOUBLE_EQ(found.parts.decoders, 3 * expected.parts.decoders);
    EXPECT_DOUBLE_EQ(found.parts.transfer_nets, 3 * expected.parts.transfer_nets);
    EXPECT_DOUBLE_EQ(found.total(), 3 * expected.step) << method;
  }
}

/// Products by pixel of the image, taken from the layers by hand; 4 for each pair of channels at full size is
/// Winograd's 16 for a tile of four pixels.
TEST(ExecutedWork, ByHand) {
  if (!has_kernels()) {
    GTEST_SKIP() << "this processor runs the plain forms";
  }
  const double common = 4 * 64 * 64 +                                  // down1.conv2
                        4 * 64 * 128 / 4 + 4 * 128 * 128 / 4 +         // down2
                        4 * 128 * 256 / 16 + 4 * 256 * 256 / 16 +      // down3
                        9 * 256 * 128 / 64 + 4 * 128 * 128 / 16 +      // up1: contracted at an eighth of the size
                        9 * (128 + 128) * 64 / 16 + 4 * 64 * 64 / 4 +  // up2
                        9 * (64 + 64) * 64 / 4 + 4 * 64 * 64;          // up3
  const double transfer = 2 * common + 9 * 7 * 64 + 64 * 1 + 9 * 1 * 64 + 64 * 7;  // both nets' first layers and heads
  const double blocks = (9 * 512 * 128 + 2 * 9 * 128 * 128) / 1024.0 +             // block1: 64 tiles in 8 images
                        (9 * (128 + 256) * 128 + 2 * 9 * 128 * 128) / 256.0 +      // block2: 256 tiles
                        9 * 128 * 128 / 256.0 + (4 * 128 * 128 + 2 * 4 * 128 * 128) / 64.0 +  // low part; skip, rest
                        9 * 128 * 128 / 64.0 + (4 * 64 * 128 + 2 * 4 * 128 * 128) / 16.0 + 9 * 128 * 128 / 16.0 +
                        (4 * 64 * 128 + 2 * 4 * 128 * 128) / 4.0;
  const double decoders = 2 * blocks + (128 * 7 + 128 * 1) / 4.0;
  const double stem = 49 * 3 * 64 / 4.0;
  const double encoder = stem + 6 * 4 * 64 * 64 / 16.0 +                             // layer1
                         (9 * 64 * 128 + 64 * 128 + 7 * 4 * 128 * 128) / 64.0 +      // layer2
                         (9 * 128 * 256 + 128 * 256 + 11 * 9 * 256 * 256) / 256.0 +  // layer3: 256 tiles
                         (9 * 256 * 512 + 256 * 512 + 5 * 9 * 512 * 512) / 1024.0;   // layer4
  const ExecutedWork found = work_of(config_of({}), 8);
  EXPECT_DOUBLE_EQ(found.parts.transfer_nets, 8 * kPixels * transfer);
  EXPECT_DOUBLE_EQ(found.parts.decoders, 8 * kPixels * decoders);
  EXPECT_DOUBLE_EQ(found.parts.encoder, 8 * kPixels * encoder);
  EXPECT_DOUBLE_EQ(found.backward, 8 * kPixels * (2 * (encoder + decoders + transfer) - stem));
  EXPECT_EQ(found.after, 0.0);
  const ExecutedWork again = work_of(config_of({"train.activation_checkpointing=true"}), 8);
  EXPECT_DOUBLE_EQ(again.backward - found.backward, 8 * kPixels * transfer);
}

/// Of maps of 16 x 32, taps at 12 all read pixels, three of those at 24, and one at 36: with the 1x1 beside them 14
/// of 28.
TEST(ExecutedWork, LeavesOutTapsThatReadPaddingAlone) {
  const double heads = 2.0 * 512 * 256;
  const double rest = 2.0 * (1280 * 256 + 9 * 256 * 256) + 256 * (7 + 1);
  const double of_means = heads / (16 * 32);
  const auto decoders = [](const char* rewrites) {
    return work_of(config_of({"model.system=deeplab", "model.encoder=resnet18", "run.precision=fp64",
                              std::string("train.rewrites=") + rewrites}),
                   4)
        .parts.decoders;
  };
  EXPECT_DOUBLE_EQ(decoders("false"), 4 * kPixels / 64 * (28 * heads + rest + of_means));
  if (!has_kernels()) {
    EXPECT_DOUBLE_EQ(decoders("true"), 4 * kPixels / 64 * (14 * heads + rest + of_means));
  } else {  // the 3x3 convolution behind them is Winograd's
    EXPECT_DOUBLE_EQ(decoders("true"), 4 * kPixels / 64 * (14 * heads + rest - 2.0 * 5 * 256 * 256 + of_means));
  }
}

/// Nodes of a graph by the last part of their name.
int count_nodes(const std::vector<at::Tensor>& roots, const std::string& name) {
  std::set<const torch::autograd::Node*> seen;
  std::vector<const torch::autograd::Node*> open;
  for (const at::Tensor& root : roots) {
    open.push_back(root.grad_fn().get());
  }
  int count = 0;
  while (!open.empty()) {
    const torch::autograd::Node* node = open.back();
    open.pop_back();
    if (node == nullptr || !seen.insert(node).second) {
      continue;
    }
    count += node->name().ends_with(name) ? 1 : 0;
    for (const auto& edge : node->next_edges()) {
      open.push_back(edge.function.get());
    }
  }
  return count;
}

/// The graph of a forward pass holds as many layers of each form as were counted.
TEST(ExecutedWork, FormsAreThoseThatTheNetTakes) {
  for (const auto& assignments : {std::vector<std::string>{},
                                  {"model.decoder_width=24", "model.ttnet_widths=[16, 24, 32]"},
                                  {"model.system=align", "model.encoder=resnet50", "model.ttnet_batch_norm=true"},
                                  {"train.rewrites=false"}}) {
    auto all = assignments;
    all.insert(all.begin(), {"run.precision=fp32", "model.decoder_width=32", "model.ttnet_widths=[16, 32, 32]"});
    const auto config = test::step_config(all);
    const train::Learner learner(config, 5, at::kCPU);
    const at::Tensor image = test::random_batch(1, 2, 5, 96, 160).image_n3hw;
    const model::Predictions found =
        learner.net.forward(image, {.training = true, .compute = at::kFloat, .rewrites = config.train.rewrites});
    std::vector<at::Tensor> roots;
    for (const auto& [name, prediction] : found.named()) {
      roots.push_back(prediction);
    }
    const ExecutedWork counted = executed_work(config, {.images = 2, .height = 96, .width = 160, .num_classes = 5},
                                               at::kCPU, at::kFloat, at::kFloat);
    EXPECT_EQ(count_nodes(roots, "WinogradBackward"), counted.winograd);
    EXPECT_EQ(count_nodes(roots, "UpsampledBackward"), counted.at_low_size);
    EXPECT_EQ(count_nodes(roots, "ConvolutionBackward0"), counted.plain);
    EXPECT_GT(counted.plain, 0);
    if (has_kernels() && config.train.rewrites) {
      EXPECT_GT(counted.winograd, 0);
      EXPECT_GT(counted.at_low_size, 0);
    }
  }
}

TEST(Peer, FollowsWhatItIsTold) {
  EXPECT_THAT(not_followed_by_peer(config_of({})), IsEmpty());
  for (const char* assignment : {"loss.lambda_1=0.9",
                                 "loss.transferred_segmentation=kl",
                                 "loss.soft_target=true",
                                 "loss.label_smoothing=0.1",
                                 "loss.transferred_depth=ssim",
                                 "loss.depth=MSE",
                                 "model.decoder_width=32",
                                 "model.ttnet_widths=[8, 8, 8]",
                                 "model.ttnet_batch_norm=true",
                                 "model.system=align",
                                 "model.encoder=resnet50",
                                 "run.precision=bf16",
                                 "train.learning_rate=1e-5",
                                 "train.betas=[0.5, 0.6]",
                                 "train.batch_size=3",
                                 "data.flip=false",
                                 "data.pack='a = b.h5'",
                                 "train.rewrites=false",
                                 "model.system=base_st_depth",
                                 "model.system=base_mt",
                                 "model.transfer=ring",
                                 "model.transfer_pairs=[\"seg>depth\"]",
                                 "train.optimizer=adamw",
                                 "train.clip_norm=0.5",
                                 "train.schedule=cosine",
                                 "train.warmup_steps=5",
                                 "data.holdout=0.1",
                                 "train.patience=3"}) {
    EXPECT_THAT(not_followed_by_peer(config_of({assignment})), IsEmpty()) << assignment;
  }
  const nlohmann::json told = peer_options(config_of(
      {"loss.lambda_1=0.9", "model.ttnet_widths=[8, 16, 8]", "run.precision=bf16", "train.learning_rate=1e-5"}));
  EXPECT_EQ(told.at("system"), "xtasc");
  EXPECT_EQ(told.at("lambda_1"), 0.9);
  EXPECT_EQ(told.at("ttnet_widths"), (nlohmann::json{8, 16, 8}));
  EXPECT_EQ(told.at("soft_target"), false);
  EXPECT_EQ(told.at("precision"), "bf16");
  EXPECT_EQ(told.at("learning_rate"), 1e-5);
  EXPECT_EQ(told.at("betas"), (nlohmann::json{0.9, 0.99}));
}

TEST(Peer, WhatItDoesNotFollowIsNamed) {
  EXPECT_THAT(not_followed_by_peer(config_of({"weighting.method=uncertainty", "loss.lambda_1=0.9"})),
              ElementsAre("weighting.method = \"uncertainty\""));
  EXPECT_THAT(not_followed_by_peer(config_of({"weighting.method=dwa", "weighting.temperature=3"})),
              ElementsAre("weighting.method = \"dwa\"", "weighting.temperature = 3.0"));
  EXPECT_THAT(not_followed_by_peer(config_of({"model.transfer=sample", "loss.lambda_2=0.9"})),
              ElementsAre("model.transfer = \"sample\""));
  EXPECT_THAT(not_followed_by_peer(config_of({"train.accumulate=2", "train.optimizer=sgd", "train.momentum=0.8"})),
              ElementsAre("train.accumulate = 2"));
}

}  // namespace
}  // namespace xtasc::launch
