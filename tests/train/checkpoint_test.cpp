#include "train/checkpoint.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cctype>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "io/atomic_file.hpp"
#include "support/tier.hpp"
#include "tensorfile/tensor_file.hpp"
#include "train/checkpoint_fixture.hpp"
#include "train/weights.hpp"

namespace xtasc::train {
namespace {

TEST_F(CheckpointTest, RestoresEveryBit) {
  const auto learner = trained(2);
  const Progress progress{.epoch = 3,
                          .step_in_epoch = 5,
                          .step = 44,
                          .epoch_loss_sums = {0.1, 1.0 / 3.0, 1e-300},
                          .epoch_images = 40,
                          .epoch_seconds = 1.25,
                          .best_val_loss = 0.7,
                          .best_epoch = 2};
  checkpoint_.save(tensors_of(*learner), progress, identity_, "one line\n");
  const auto restored = trained(0);
  EXPECT_FALSE(same(*learner, *restored));
  const auto found = checkpoint_.load(*restored, identity_);
  ASSERT_TRUE(found);
  EXPECT_TRUE(same(*learner, *restored));
  EXPECT_EQ(found->progress.epoch, 3);
  EXPECT_EQ(found->progress.step_in_epoch, 5);
  EXPECT_EQ(found->progress.step, 44);
  EXPECT_EQ(found->progress.epoch_loss_sums, progress.epoch_loss_sums);
  EXPECT_EQ(found->progress.best_val_loss, 0.7);
  EXPECT_EQ(found->progress.best_epoch, 2);
  EXPECT_EQ(found->metrics, "one line\n");
}

/// As DONE folders of the first runs have them: the four losses of two tasks and their total, whatever the system.
TEST_F(CheckpointTest, SumsOfTheFirstRunsLoseWhatTheSystemLacks) {
  checkpoint_.save(tensors_of(after(0)), {.epoch = 1, .epoch_loss_sums = {0.1, 0.2, 0.3, 0.4, 1.0}}, identity_);
  EXPECT_EQ(checkpoint_.load(*trained(0), identity_)->progress.epoch_loss_sums, (std::vector<double>{0.1, 0.2, 1.0}));
}

TEST_F(CheckpointTest, NoneIsNotAnError) {
  EXPECT_FALSE(checkpoint_.load(*trained(0), identity_));
}

TEST_F(CheckpointTest, AFlippedBitIsRefused) {
  checkpoint_.save(tensors_of(after(1)), {}, identity_);
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
  checkpoint_.save(tensors_of(after(0)), {}, identity_);
  EXPECT_NE(refusal(checkpoint_, {"train.epochs = 3\ntrain.batch_size = 4\n", "digest"})
                .find("it has train.batch_size = 8, this run has train.batch_size = 4"),
            std::string::npos);
  EXPECT_NE(refusal(checkpoint_, {identity_.config, "other"}).find("digest"), std::string::npos);
}

/// By its identity, which names the key; and were that the same, by what its state is called.
TEST_F(CheckpointTest, AnotherOptimizersIsRefused) {
  test::add_toys();
  const auto learner_of = [](const std::string& optimizer) {
    const auto config = test::step_config({"model.system=toy_st_scene", "train.optimizer=" + optimizer});
    return std::make_unique<Learner>(config, 5, at::kCPU);
  };
  const auto adam = learner_of("adam");
  const auto refused_by = [&](const std::string& optimizer, const RunIdentity& identity) -> std::string {
    try {
      static_cast<void>(checkpoint_.load(*learner_of(optimizer), identity));
      return "accepted";
    } catch (const Error& error) {
      return error.what();
    }
  };
  checkpoint_.save(tensors_of(*adam), {}, identity_);
  EXPECT_EQ(refused_by("adam", identity_), "accepted");
  for (const std::string optimizer : {"adamw", "sgd"}) {
    const RunIdentity other = {identity_.config + fmt::format("train.optimizer = \"{}\"\n", optimizer), "digest"};
    EXPECT_NE(refused_by(optimizer, other)
                  .find(fmt::format("it has train.optimizer at its default, this run has train.optimizer = \"{}\"",
                                    optimizer)),
              std::string::npos);
    EXPECT_NE(refused_by(optimizer, identity_).find(fmt::format("state.pt: {}.net.", optimizer)), std::string::npos);
  }
}

/// A crash between any two of the renames leaves the old or the new checkpoint, whole.
TEST_F(CheckpointTest, InterruptedSavesAreFinished) {
  checkpoint_.save(tensors_of(after(0)), {.epoch = 1}, identity_);
  fs::copy(root_ / "last", root_ / "one", fs::copy_options::recursive);
  checkpoint_.save(tensors_of(after(0)), {.epoch = 2}, identity_);
  fs::copy(root_ / "last", root_ / "two", fs::copy_options::recursive);
  const auto place = [&](const char* what, const char* where) {
    fs::copy(root_ / what, root_ / where, fs::copy_options::recursive);
  };
  const auto epoch_after_load = [&] { return checkpoint_.load(*trained(0), identity_)->progress.epoch; };

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
  checkpoint_.save(tensors_of(after(0)), {.epoch = 1}, identity_);
  const auto learner = trained(0);
  // The kernel refuses to let a file grow past 4 KiB, as a full disk or a quota would.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{.rlim_cur = 1 << 12, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message = "saved";
  try {
    checkpoint_.save(tensors_of(*learner), {.epoch = 2}, identity_);
  } catch (const Error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_NE(message.find("weights.pt"), std::string::npos) << message;
  EXPECT_EQ(checkpoint_.load(*trained(0), identity_)->progress.epoch, 1);
}

TEST_F(CheckpointTest, TheLeftoverOfAKilledSaveIsClearedAway) {
  io::write_file_atomically(root_ / ".last.new", std::string_view("a file where the folder should be"));
  checkpoint_.save(tensors_of(after(0)), {.epoch = 2}, identity_);
  EXPECT_EQ(checkpoint_.load(*trained(0), identity_)->progress.epoch, 2);
}

/// Every digit and letter of the index: what it says is what was written, or it is refused.
TEST_F(CheckpointTest, AChangedIndexIsRefused) {
  checkpoint_.save(tensors_of(after(0)), {.epoch = 2, .step = 7, .epoch_seconds = 1.5, .best_val_loss = 0.25},
                   identity_);
  const fs::path path = root_ / "last/checkpoint.json";
  const std::string good = io::read_file(path);
  int tried = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    if (std::isspace(static_cast<unsigned char>(good[i])) != 0) {
      continue;
    }
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    write(path, bad);
    try {
      EXPECT_EQ(nlohmann::json::parse(checkpoint_.description()), nlohmann::json::parse(good)) << bad;  // 1e0 for 1E0
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("checkpoint.json"), std::string::npos) << error.what();
      ++tried;
    }
  }
  EXPECT_GT(tried, 500);
}

TEST_F(CheckpointTest, OneOfAnEarlierVersionIsReadButNotResumed) {
  checkpoint_.save(tensors_of(after(1)), {.epoch = 2}, identity_);
  const fs::path path = root_ / "last/checkpoint.json";
  nlohmann::json index = nlohmann::json::parse(io::read_file(path));
  index["version"] = 1;
  index.erase("xxh3_128");
  write(path, index.dump());
  EXPECT_FALSE(checkpoint_.weights().empty());
  EXPECT_EQ(checkpoint_.verify(), 2);
  EXPECT_NE(refusal(checkpoint_, identity_).find("was written by an earlier version"), std::string::npos);
}

/// A training run beside puts generation after generation in its place: a reader sees each whole.
TEST_F(CheckpointTest, AReaderSeesOneGenerationWhole) {
  const auto learner = trained(0);
  checkpoint_.save(tensors_of(*learner), {.epoch = 1}, identity_);
  std::atomic<bool> is_over = false;
  int num_read = 0;
  std::string fault;
  std::thread reader([&] {
    while (!is_over || num_read == 0) {
      try {
        static_cast<void>(checkpoint_.verify());
        ++num_read;
      } catch (const std::exception& error) {
        fault = error.what();
        return;
      }
    }
  });
  for (std::int64_t epoch = 2; epoch <= (test::is_long_tier() ? 1000 : 100); ++epoch) {
    checkpoint_.prepare(tensors_of(*learner), {.epoch = epoch}, identity_);
    checkpoint_.commit(root_ / "previous");
  }
  is_over = true;
  reader.join();
  EXPECT_EQ(fault, "");
  EXPECT_GT(num_read, 0);
}

TEST(LoadWeights, NamesEveryTensorThatDoesNotFit) {
  const config::RunConfig config = test::step_config(
      {"run.precision=fp32", "model.decoder_width=8", "model.ttnet_widths=[4,4,4]", "weighting.method=uncertainty"});
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
