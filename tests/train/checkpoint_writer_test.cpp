#include "train/checkpoint_writer.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <set>
#include <thread>

#include "core/error.hpp"
#include "support/nets.hpp"
#include "train/generations.hpp"
#include "train/snapshot.hpp"

namespace xtasc::train {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::unique_ptr<Learner> made_learner(std::int64_t seed) {
  static const config::RunConfig config = test::step_config(
      {"run.precision=fp32", "model.decoder_width=8", "model.ttnet_widths=[4,4,4]", "weighting.method=uncertainty"});
  auto learner = std::make_unique<Learner>(config, 5, at::kCPU);
  const c10::NoGradGuard no_grad;
  const LearnerTensors tensors = tensors_of(*learner);
  for (const auto* named : {&tensors.weights, &tensors.state}) {
    for (const auto& [name, tensor] : *named) {
      tensor.fill_(0.5 + static_cast<double>(seed++));
    }
  }
  return learner;
}

bool same(const LearnerTensors& a, const LearnerTensors& b) {
  const auto equal = [](const auto& x, const auto& y) {
    return std::ranges::equal(
        x, y, [](const auto& p, const auto& q) { return p.first == q.first && at::equal(p.second, q.second); });
  };
  return equal(a.weights, b.weights) && equal(a.state, b.state);
}

/// What a tensor shares memory with.
std::size_t num_pieces(const LearnerTensors& tensors) {
  std::set<const void*> pieces;
  for (const auto* named : {&tensors.weights, &tensors.state}) {
    for (const auto& [name, tensor] : *named) {
      pieces.insert(tensor.storage().data());
    }
  }
  return pieces.size();
}

template <typename Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

class CheckpointWriterTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(run_.root); }
  void TearDown() override {
    opens_ = true;
    fs::remove_all(run_.root);
  }

  static Progress at_end_of(std::int64_t epoch) {
    return {.epoch = epoch, .step = 10 * epoch, .best_val_loss = 0.5, .best_epoch = epoch};
  }
  static run::EpochRecord line_of(std::int64_t epoch) {
    run::EpochRecord record;
    record.epoch = epoch;
    record.step = 10 * epoch;
    record.is_best = true;
    return record;
  }
  /// What the writer calls before each write: waits for the gate.
  Checkpoint::BeforeWrite gate() {
    return [this] {
      while (!opens_) {
        std::this_thread::sleep_for(1ms);
      }
    };
  }
  /// What require_healthy() says in the end.
  static std::string failure_of(CheckpointWriter& writer) {
    std::string message;
    for (int i = 0; i < 10'000 && message.empty(); ++i) {
      std::this_thread::sleep_for(1ms);
      message = message_of([&] { writer.require_healthy(); });
    }
    return message;
  }

  run::RunFolder run_{fs::path(testing::TempDir()) /
                      ("writer_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))};
  RunIdentity identity_{"train.epochs = 3\n", "digest"};
  std::atomic<bool> opens_ = false;
};

TEST_F(CheckpointWriterTest, HoldsWhatTheLearnerWasWhenSaveReturned) {
  const auto learner = made_learner(1);
  CheckpointWriter writer(run_, identity_, gate());
  writer.save(*learner, at_end_of(1), line_of(1));
  const auto later = made_learner(100);
  {
    const c10::NoGradGuard no_grad;
    const LearnerTensors to = tensors_of(*learner);
    const LearnerTensors from = tensors_of(*later);
    for (std::size_t i = 0; i < to.weights.size(); ++i) {
      to.weights[i].second.copy_(from.weights[i].second);
    }
    for (std::size_t i = 0; i < to.state.size(); ++i) {
      to.state[i].second.copy_(from.state[i].second);
    }
  }
  opens_ = true;
  writer.require_complete(at_end_of(1));
  const auto loaded = made_learner(200);
  EXPECT_EQ(writer.load(*loaded)->epoch, 1);
  EXPECT_TRUE(same(tensors_of(*loaded), tensors_of(*made_learner(1))));
}

TEST_F(CheckpointWriterTest, AFailureComesUpAtALaterCallOnce) {
  const auto learner = made_learner(1);
  bool fails = false;
  CheckpointWriter writer(run_, identity_, [&] { check(!fails, "the disk is on fire"); });
  writer.save(*learner, at_end_of(1), line_of(1));
  writer.finish();
  fails = true;
  EXPECT_NO_THROW(writer.save(*learner, at_end_of(2), line_of(2)));
  EXPECT_EQ(failure_of(writer), "the disk is on fire");
  EXPECT_NO_THROW(writer.finish());
  EXPECT_EQ(CheckpointWriter(run_, identity_, [] {}).load(*learner)->epoch, 1);
  EXPECT_EQ(run::read_metrics(run_.metrics()).size(), 1U);

  writer.save(*learner, at_end_of(3), line_of(3));
  EXPECT_EQ(message_of([&] { writer.save(*learner, at_end_of(4), line_of(4)); }), "the disk is on fire");
  writer.save(*learner, at_end_of(4));
  EXPECT_EQ(message_of([&] { writer.finish(); }), "the disk is on fire");
  writer.save(*learner, at_end_of(4));
  EXPECT_EQ(message_of([&] { writer.require_complete(at_end_of(4)); }), "the disk is on fire");
}

TEST_F(CheckpointWriterTest, AFullDiskIsTold) {
  const auto learner = made_learner(1);
  CheckpointWriter writer(run_, identity_, [] {});
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  writer.save(*learner, at_end_of(1), line_of(1));
  const std::string message = failure_of(writer);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_NE(message.find("weights.pt"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(run_.checkpoints() / "last"));
  EXPECT_FALSE(fs::exists(run_.checkpoints() / ".last.new")) << "half a checkpoint keeps a full disk full";
}

TEST_F(CheckpointWriterTest, OneIsWrittenAtATimeAndNobodyWaitsForItOtherwise) {
  const auto learner = made_learner(1);
  CheckpointWriter writer(run_, identity_, gate());
  EXPECT_EQ(writer.seconds(), 0.0);
  writer.save(*learner, at_end_of(1), line_of(1));
  EXPECT_NO_THROW(writer.require_healthy());
  EXPECT_FALSE(fs::exists(run_.checkpoints() / "last"));
  auto second = std::async(std::launch::async, [&] { writer.save(*learner, at_end_of(2), line_of(2)); });
  EXPECT_EQ(second.wait_for(100ms), std::future_status::timeout);
  opens_ = true;
  second.get();
  writer.require_complete(at_end_of(2));
  EXPECT_EQ(Checkpoint(run_.checkpoints() / "last").verify(), 2);
  EXPECT_EQ(Checkpoint(run_.checkpoints() / "previous").verify(), 1);
  const auto lines = run::read_metrics(run_.metrics());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_GT(writer.seconds(), 0.0);
}

TEST_F(CheckpointWriterTest, TheBestComesFirstAndTheLineOfMetricsLast) {
  const auto learner = made_learner(1);
  std::vector<std::string> seen;  // before each write: what is there
  CheckpointWriter writer(run_, identity_, [&] {
    std::string there;
    for (const fs::path& path : {run_.checkpoints() / "best", run_.checkpoints() / "last", run_.metrics()}) {
      there += fs::exists(path) ? path.filename().string() + " " : "";
    }
    if (seen.empty() || seen.back() != there) {
      seen.push_back(there);
    }
  });
  writer.save(*learner, at_end_of(1), line_of(1));
  writer.finish();
  EXPECT_EQ(seen, (std::vector<std::string>{"", "best "}));
  EXPECT_TRUE(fs::exists(run_.checkpoints() / "last"));
  EXPECT_EQ(run::read_metrics(run_.metrics()).size(), 1U);
}

TEST_F(CheckpointWriterTest, ItsEndWaitsForTheWriting) {
  const auto learner = made_learner(1);
  std::thread opener([this] {
    std::this_thread::sleep_for(50ms);
    opens_ = true;
  });
  { CheckpointWriter(run_, identity_, gate()).save(*learner, at_end_of(1)); }
  EXPECT_EQ(Checkpoint(run_.checkpoints() / "last").verify(), 1);
  opener.join();
}

TEST_F(CheckpointWriterTest, EpochsWithoutACheckpointAreNotThrownAway) {
  const auto learner = made_learner(1);
  CheckpointWriter writer(run_, identity_, [] {});
  writer.save(*learner, at_end_of(1), line_of(1));
  writer.finish();
  fs::remove_all(run_.checkpoints());
  CheckpointWriter next(run_, identity_, [] {});
  EXPECT_NE(message_of([&] { static_cast<void>(next.load(*learner)); }).find("--restart"), std::string::npos);
  EXPECT_EQ(run::read_metrics(run_.metrics()).size(), 1U);
}

/// The cores are the training's: ATen starts no team of threads for the writer.
TEST_F(CheckpointWriterTest, WritesOnOneThread) {
  const auto num_threads = [] {
    const auto tasks = fs::directory_iterator("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const int before = at::get_num_threads();
  at::set_num_threads(4);
  const auto learner = made_learner(1);
  static_cast<void>(Snapshot(*learner));  // this thread's own team
  const auto without = num_threads();
  std::ptrdiff_t most = 0;
  {
    CheckpointWriter writer(run_, identity_, [&] { most = std::max(most, num_threads()); });
    writer.save(*learner, at_end_of(1), line_of(1));
    writer.finish();
  }
  EXPECT_EQ(most, without + 1);
  EXPECT_EQ(at::get_num_threads(), 4);
  at::set_num_threads(before);
}

TEST_F(CheckpointWriterTest, SpaceIsAskedForBefore) {
  const auto learner = made_learner(1);
  {
    CheckpointWriter writer(run_, identity_, [] {});
    for (const std::int64_t epoch : {1, 2, 3}) {
      Progress progress = at_end_of(epoch);
      progress.best_epoch = 1;
      run::EpochRecord line = line_of(epoch);
      line.is_best = epoch == 1;
      writer.save(*learner, progress, line);
    }
    writer.finish();
  }
  std::uintmax_t one = 0;
  for (const char* file : {"weights.pt", "state.pt"}) {
    one += fs::file_size(run_.checkpoints() / "last" / file);
  }
  const run::RunFolder fresh{run_.root / "fresh"};
  fs::create_directories(fresh.root);
  EXPECT_NEAR(static_cast<double>(bytes_still_needed(*learner, fresh)), 4.0 * static_cast<double>(one),
              0.1 * static_cast<double>(one));
  EXPECT_LT(bytes_still_needed(*learner, run_), 2 * one);  // three generations are there
  EXPECT_NO_THROW(check_free_space(*learner, run_));
}

TEST(Snapshot, IsACopyInAsFewPiecesAsTheLearner) {
  const auto learner = made_learner(1);
  const LearnerTensors copy = Snapshot(*learner).on_host();
  EXPECT_TRUE(same(copy, tensors_of(*learner)));
  EXPECT_EQ(num_pieces(copy), num_pieces(tensors_of(*learner)));
  EXPECT_EQ(copy.weights[0].second.storage().data(), copy.weights[1].second.storage().data());
  EXPECT_EQ(copy.weights[0].second.strides(), learner->weights()[0].second.strides());
  EXPECT_FALSE(copy.weights[0].second.requires_grad());
}

}  // namespace
}  // namespace xtasc::train
