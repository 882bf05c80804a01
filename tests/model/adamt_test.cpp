#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "model/network.hpp"
#include "net/networks.hpp"
#include "support/learners.hpp"
#include "support/nets.hpp"
#include "train/weights.hpp"

namespace xtasc::model {
namespace {

config::ModelSection adamt(const std::vector<std::string>& more = {}) {
  std::vector<std::string> assignments = {"model.system=adamt"};
  assignments.insert(assignments.end(), more.begin(), more.end());
  return test::step_config(assignments).model;
}

const std::vector<std::string> kPerSlot = {"model.adamt_attention=per_slot"};

/// Those of the public class, and of its convolutions by themselves (counted by instantiating it).
TEST(AdamtNet, CountsAreThePublicOnes) {
  const auto of = [](const config::ModelSection& section, const net::Sizes& sizes) {
    return make_network(section, sizes, 1, at::kMeta, at::kFloat)->parameters().num_parameters();
  };
  EXPECT_EQ(of(adamt(kPerSlot), {7, 128, 256, 8}), 49136064);
  EXPECT_EQ(of(adamt(kPerSlot), {13, 288, 384, 4}), 70763328);
  EXPECT_EQ(of(adamt(), {7, 128, 256, 8}), 17678784 + 2 * 1966080);
  std::int64_t described = 0;
  for (const net::Convolution& layer : net::convolutions_of(adamt(), 13)) {
    described += layer.num_parameters();
  }
  EXPECT_EQ(described, 17679168);
}

/// In evaluation mode, where no image sees another: the second half by itself is the second half of the whole.
TEST(AdamtNet, SlotsFollowThePlaceInTheGlobalBatch) {
  const c10::NoGradGuard no_grad;
  const auto net = make_network(adamt(kPerSlot), {3, 32, 32, 4}, 1, at::kCPU, at::kDouble);
  const at::Tensor image = test::random_batch(1, 6, 3, 32, 32).image_n3hw.to(at::kDouble);
  const Mode whole{.compute = at::kDouble};
  const at::Tensor expected = net->forward(image, whole).of("depth");
  for (const std::int64_t first : {0, 2, 3}) {  // of six images with four slots, the last two have the first ones
    Mode mode = whole;
    mode.first_in_batch = first;
    const at::Tensor found = net->forward(image.narrow(0, first, 3), mode).of("depth");
    EXPECT_TRUE(at::allclose(found, expected.narrow(0, first, 3), 1e-12, 1e-12)) << first;
  }
  Mode other = whole;
  other.first_in_batch = 1;
  EXPECT_FALSE(at::allclose(net->forward(image.narrow(0, 0, 1), other).of("depth"), expected.narrow(0, 0, 1)));
}

TEST(AdamtNet, DropsWholeChannelsByTheirDraws) {
  const c10::NoGradGuard no_grad;
  const auto net = make_network(adamt(), {3, 32, 32}, 1, at::kCPU, at::kDouble);
  const at::Tensor image = test::random_batch(1, 2, 3, 32, 32).image_n3hw.to(at::kDouble);
  EXPECT_EQ(net->num_draws(), 960 + 2 * 960);
  EXPECT_EQ(make_network(adamt({"model.dropout=0"}), {3, 32, 32}, 1, at::kCPU, at::kDouble)->num_draws(), 0);
  Mode mode{.training = true, .compute = at::kDouble};
  EXPECT_THROW(static_cast<void>(net->forward(image, mode)), Error) << "no draws";
  mode.draws_nk = at::full({2, net->num_draws()}, 0.7);
  const at::Tensor kept = net->forward(image, mode).of("seg");
  mode.draws_nk.narrow(1, net->num_draws() - 64, 64).fill_(0.2);  // the last layer's, of depth's decoder
  const Predictions dropped = net->forward(image, mode);
  EXPECT_TRUE(at::equal(dropped.of("depth"), at::zeros_like(dropped.of("depth"))));
  EXPECT_TRUE(at::equal(dropped.of("seg"), kept));
}

/// Each sample's draws are its own, whatever rank it is on and whichever others are there.
TEST(AdamtNet, DrawsAreOfSeedStepAndSample) {
  const std::vector<std::int64_t> all = {4, 9, 2};
  const at::Tensor draws = data::draws_of(all, 5, 1, 3, at::kCPU);
  EXPECT_TRUE(at::equal(draws.narrow(0, 1, 2), data::draws_of(std::span(all).subspan(1), 5, 1, 3, at::kCPU)));
  EXPECT_FALSE(at::equal(draws, data::draws_of(all, 5, 1, 4, at::kCPU)));
  EXPECT_FALSE(at::equal(draws, data::draws_of(all, 5, 2, 3, at::kCPU)));
  EXPECT_GE(draws.min().item<float>(), 0.0F);
  EXPECT_LT(draws.max().item<float>(), 1.0F);
}

TEST(AdamtNet, SaysWhichImagesItIsFor) {
  const auto refusal = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(refusal([] {
              static_cast<void>(make_network(adamt(), 7, 1, at::kMeta, at::kFloat));
            }).find("images of one size, which is not known here"),
            std::string::npos);
  const auto net = make_network(adamt(), {7, 32, 64}, 1, at::kMeta, at::kFloat);
  const std::string text = refusal([&net] {
    static_cast<void>(net->forward(at::empty({1, 3, 64, 64}, at::TensorOptions().device(at::kMeta)), Mode{}));
  });
  EXPECT_EQ(text, "these weights have factors for images of 32 x 64, found 64 x 64");
}

/// The size of the images and the number of slots are in a file of its weights.
TEST(AdamtNet, SizesAreReadOffItsWeights) {
  const net::Sizes expected(7, 64, 96, 3);
  const auto net = make_network(adamt(kPerSlot), expected, 1, at::kMeta, at::kFloat);
  tensorfile::TensorDict file;
  for (const NamedTensor& one : net->parameters().parameters()) {
    file[one.name] = one.tensor.detach();
  }
  const net::Sizes found = train::sizes_of(adamt(kPerSlot), "w.pt", file);
  EXPECT_EQ(found.num_classes, 7);
  EXPECT_EQ(found.height, 64);
  EXPECT_EQ(found.width, 96);
  EXPECT_EQ(found.slots, 3);
  EXPECT_TRUE(file.contains("decoder_segmt.dec_block1.W"));
  EXPECT_EQ(file.at("decoder_segmt.dec_block1.W").sizes(), at::IntArrayRef({3, 256, 8, 12}));
}

}  // namespace
}  // namespace xtasc::model
