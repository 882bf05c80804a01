#include "train/checkpoint.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "support/nets.hpp"
#include "tensorfile/tensor_file.hpp"
#include "train/step.hpp"
#include "train/weights.hpp"

namespace xtasc::train {
namespace {

namespace fs = std::filesystem;

/// Small widths keep the files small; the encoder alone is 45 MB.
config::RunConfig small_config() {
  return test::step_config(
      {"run.precision=fp32", "model.decoder_width=8", "model.ttnet_widths=[4,4,4]", "weighting.method=uncertainty"});
}

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(root_); }
  void TearDown() override { fs::remove_all(root_); }

  /// A learner that has taken some steps, so that every part of its state differs from the start.
  static std::unique_ptr<Learner> trained(int steps) {
    static const config::RunConfig config = small_config();
    auto learner = std::make_unique<Learner>(config, 5, at::kCPU);
    const auto communicator = dist::make_solo_communicator();
    Step step(config, *learner, *communicator);
    for (int i = 0; i < steps; ++i) {
      static_cast<void>(step.compute(test::random_batch(static_cast<std::uint64_t>(i), 2, 5, 32, 64)));
      step.update(1e-3);
    }
    return learner;
  }

  static bool same(const Learner& a, const Learner& b) {
    const auto equal = [](const auto& x, const auto& y) {
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (x[i].first != y[i].first || !at::equal(x[i].second, y[i].second)) {
          return false;
        }
      }
      return x.size() == y.size();
    };
    return equal(a.weights(), b.weights()) && equal(a.adam.state(), b.adam.state());
  }

  std::string refusal(const Checkpoint& checkpoint, const RunIdentity& identity) {
    try {
      static_cast<void>(checkpoint.load(*trained(0), identity));
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  fs::path root_ = fs::path(testing::TempDir()) /
                   ("checkpoint_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
  Checkpoint checkpoint_{root_ / "last"};
  RunIdentity identity_{"train.epochs = 3\ntrain.batch_size = 8\n", "digest"};
};

TEST_F(CheckpointTest, RestoresEveryBit) {
  const auto learner = trained(2);
  const Progress progress{.epoch = 3,
                          .step_in_epoch = 5,
                          .step = 44,
                          .epoch_loss_sums = {0.1, 1.0 / 3.0, 1e-300, 5, 7},
                          .epoch_images = 40,
                          .epoch_seconds = 1.25,
                          .best_val_loss = 0.7};
  checkpoint_.save(*learner, progress, identity_, true);
  const auto restored = trained(0);
  EXPECT_FALSE(same(*learner, *restored));
  const auto found = checkpoint_.load(*restored, identity_);
  ASSERT_TRUE(found);
  EXPECT_TRUE(same(*learner, *restored));
  EXPECT_EQ(found->epoch, 3);
  EXPECT_EQ(found->step_in_epoch, 5);
  EXPECT_EQ(found->step, 44);
  EXPECT_EQ(found->epoch_loss_sums, progress.epoch_loss_sums);
  EXPECT_EQ(found->best_val_loss, 0.7);
}

TEST_F(CheckpointTest, NoneIsNotAnError) {
  EXPECT_FALSE(checkpoint_.load(*trained(0), identity_));
}

TEST_F(CheckpointTest, AFlippedBitIsRefused) {
  checkpoint_.save(*trained(1), {}, identity_, true);
  for (const char* name : {"weights.pt", "state.pt"}) {
    const fs::path path = root_ / "last" / name;
    const std::string good = io::read_file(path);
    std::string bad = good;
    bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
    io::write_file_atomically(path, bad);
    EXPECT_NE(refusal(checkpoint_, identity_).find(std::string(name) + " is damaged"), std::string::npos);
    io::write_file_atomically(path, good.substr(0, good.size() - 1));
    EXPECT_NE(refusal(checkpoint_, identity_).find(std::string(name) + " is damaged"), std::string::npos);
    io::write_file_atomically(path, good);
  }
  io::write_file_atomically(root_ / "last/checkpoint.json",
                            std::string_view("{\"format\": \"xtasc-checkpoint\", \"ver"));
  EXPECT_NE(refusal(checkpoint_, identity_).find("checkpoint.json is damaged"), std::string::npos);
}

TEST_F(CheckpointTest, AnotherConfigOrPackIsRefusedByName) {
  checkpoint_.save(*trained(0), {}, identity_, true);
  EXPECT_NE(refusal(checkpoint_, {"train.epochs = 3\ntrain.batch_size = 4\n", "digest"})
                .find("it has train.batch_size = 8, this run has train.batch_size = 4"),
            std::string::npos);
  EXPECT_NE(refusal(checkpoint_, {identity_.config, "other"}).find("digest"), std::string::npos);
}

/// A crash between any two of the renames leaves the old or the new checkpoint, whole.
TEST_F(CheckpointTest, InterruptedSavesAreFinished) {
  checkpoint_.save(*trained(0), {.epoch = 1}, identity_, true);
  fs::copy(root_ / "last", root_ / "one", fs::copy_options::recursive);
  checkpoint_.save(*trained(0), {.epoch = 2}, identity_, true);
  fs::copy(root_ / "last", root_ / "two", fs::copy_options::recursive);
  const auto place = [&](const char* what, const char* where) {
    fs::copy(root_ / what, root_ / where, fs::copy_options::recursive);
  };
  const auto epoch_after_load = [&] { return checkpoint_.load(*trained(0), identity_)->epoch; };

  fs::remove_all(root_ / "last");  // killed after the old one was moved away, before the new one took its place
  place("one", ".last.old");
  place("two", ".last.new");
  EXPECT_EQ(epoch_after_load(), 2);

  fs::remove_all(root_ / "last");  // the same, the new one never complete
  place("one", ".last.old");
  fs::create_directories(root_ / ".last.new");
  EXPECT_EQ(epoch_after_load(), 1);

  place("two", ".last.old");  // killed before the old one was removed
  EXPECT_EQ(epoch_after_load(), 1);
  EXPECT_FALSE(fs::exists(root_ / ".last.old"));
}

TEST_F(CheckpointTest, AFailedSaveKeepsTheOldOne) {
  checkpoint_.save(*trained(0), {.epoch = 1}, identity_, true);
  const auto learner = trained(0);
  // The kernel refuses to let a file grow past 1 MB, as a full disk or a quota would.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message = "saved";
  try {
    checkpoint_.save(*learner, {.epoch = 2}, identity_, true);
  } catch (const Error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_NE(message.find("weights.pt"), std::string::npos) << message;
  EXPECT_EQ(checkpoint_.load(*trained(0), identity_)->epoch, 1);
}

TEST_F(CheckpointTest, TheLeftoverOfAKilledSaveIsClearedAway) {
  io::write_file_atomically(root_ / ".last.new", std::string_view("a file where the folder should be"));
  checkpoint_.save(*trained(0), {.epoch = 2}, identity_, true);
  EXPECT_EQ(checkpoint_.load(*trained(0), identity_)->epoch, 2);
}

TEST(LoadWeights, NamesEveryTensorThatDoesNotFit) {
  const config::RunConfig config = small_config();
  Learner learner(config, 5, at::kCPU);
  const auto weights = learner.weights();
  tensorfile::TensorDict tensors(weights.begin(), weights.end());
  tensors["encoder.bn1.num_batches_tracked"] = at::zeros({}, at::kLong);
  EXPECT_NO_THROW(load_weights(learner, "W.pt", tensors));
  tensors.erase("encoder.conv1.weight");
  tensors["surplus"] = at::zeros({2});
  tensors["seg_decoder.head.weight"] = at::zeros({4, 8, 1, 1});
  try {
    load_weights(learner, "W.pt", tensors);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "W.pt does not fit the model: 1 missing, 1 of another shape or type, 1 left over");
    EXPECT_EQ(error.details(),
              (std::vector<std::string>{"missing: encoder.conv1.weight (64 x 3 x 7 x 7)",
                                        "seg_decoder.head.weight is 4 x 8 x 1 x 1, 5 x 8 x 1 x 1 expected",
                                        "left over: surplus (2)"}));
  }
}

}  // namespace
}  // namespace xtasc::train
