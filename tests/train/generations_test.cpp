#include "train/generations.hpp"

#include <gtest/gtest.h>

#include <array>

#include "io/atomic_file.hpp"
#include "support/tier.hpp"
#include "train/checkpoint_fixture.hpp"

namespace xtasc::train {
namespace {

class GenerationsTest : public CheckpointTest {
 protected:
  void SetUp() override {
    CheckpointTest::SetUp();
    generations_.save(tensors_of(after(1)), at(1, 1), identity_, "one\n", true);
    generations_.save(tensors_of(after(2)), at(2, 1), identity_, "one\ntwo\n", false);
    generations_.save(tensors_of(after(3)), at(3, 1), identity_, "one\ntwo\nthree\n", false);
  }

  static Progress at(std::int64_t epoch, std::int64_t best_epoch) {
    return {.epoch = epoch, .step = epoch, .best_val_loss = 0.5, .best_epoch = best_epoch};
  }
  void damage(const char* generation, const char* file = "weights.pt") const {
    const fs::path path = run_.checkpoints() / generation / file;
    std::string bytes = io::read_file(path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
    write(path, bytes);
  }
  std::int64_t epoch_after_load() {
    auto learner = trained(0);
    const auto resumed = generations_.load(*learner, identity_);
    EXPECT_EQ(
        resumed->metrics,
        std::string("one\ntwo\nthree\n")
            .substr(0, std::array<std::size_t, 3>{4, 8, 14}.at(static_cast<std::size_t>(resumed->progress.epoch - 1))));
    EXPECT_TRUE(same(*learner, after(static_cast<int>(resumed->progress.epoch))));
    return resumed->progress.epoch;
  }
  [[nodiscard]] bool is_set_aside(const char* generation) const {
    return fs::exists(run_.checkpoints() / (std::string(generation) + ".damaged"));
  }

  run::RunFolder run_{root_};
  Generations generations_{run_, [] {}};
};

TEST_F(GenerationsTest, TheLastOneCounts) {
  EXPECT_EQ(epoch_after_load(), 3);
  generations_.require_best(at(3, 1));
  EXPECT_EQ(Checkpoint(run_.checkpoints() / "best").verify(), 1);
  EXPECT_EQ(Checkpoint(run_.checkpoints() / "previous").verify(), 2);
}

TEST_F(GenerationsTest, DamageFallsBackToTheOneBefore) {
  damage("last", "state.pt");
  EXPECT_EQ(epoch_after_load(), 2);
  EXPECT_TRUE(is_set_aside("last"));
  // The next save has a last one again, and what was set aside is left alone.
  generations_.save(tensors_of(after(3)), at(3, 1), identity_, "one\ntwo\nthree\n", false);
  EXPECT_EQ(epoch_after_load(), 3);
}

TEST_F(GenerationsTest, AMissingLastOneToo) {
  fs::remove_all(run_.checkpoints() / "last");
  EXPECT_EQ(epoch_after_load(), 2);
}

TEST_F(GenerationsTest, AndThenToTheBest) {
  damage("last", "checkpoint.json");
  damage("previous", "metrics.jsonl");
  EXPECT_EQ(epoch_after_load(), 1);
  EXPECT_TRUE(is_set_aside("previous"));
}

TEST_F(GenerationsTest, WhereAllAreDamagedTheRunIsNotBegunAnewWithoutAWord) {
  for (const char* generation : {"last", "previous", "best"}) {
    damage(generation);
  }
  try {
    static_cast<void>(generations_.load(*trained(0), identity_));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("--restart"), std::string::npos);
    EXPECT_EQ(error.details().size(), 3U);
  }
}

TEST_F(GenerationsTest, ADamagedBestOneIsMadeAgainWhereAnotherIsOfItsEpoch) {
  generations_.save(tensors_of(after(4)), at(4, 4), identity_, "", true);
  for (const char* file : {"weights.pt", "state.pt", "metrics.jsonl", "checkpoint.json"}) {
    const fs::path path = run_.checkpoints() / "best" / file;  // a file of its own: the last one shares it
    const std::string bytes = io::read_file(path);
    io::write_file_atomically(path, bytes);
  }
  damage("best");
  EXPECT_EQ(generations_.load(*trained(0), identity_)->progress.epoch, 4);
  EXPECT_TRUE(is_set_aside("best"));
  generations_.require_best(at(4, 4));
  EXPECT_THROW(generations_.require_best(at(4, 3)), Error);
  EXPECT_EQ(Checkpoint(run_.checkpoints() / "best").verify(), 4);
}

TEST_F(GenerationsTest, WithoutTheBestOneARunDoesNotEndWell) {
  damage("best");
  EXPECT_EQ(epoch_after_load(), 3);
  EXPECT_THROW(generations_.require_best(at(3, 1)), Error);
}

/// Killed at any call between the first write and the last rename: what is resumed from is whole, and the best is that
/// of the epochs which the resumed run has, or of the one that it will do again.
TEST_F(GenerationsTest, AreWholeWhereverASaveStops) {
  struct Killed {};
  const int stride = test::is_long_tier() ? 1 : 4;
  for (int kill_at = 0;; kill_at += stride) {
    fs::remove_all(run_.checkpoints());
    generations_.save(tensors_of(after(1)), at(1, 1), identity_, "one\n", true);
    generations_.save(tensors_of(after(2)), at(2, 1), identity_, "one\ntwo\n", false);
    int calls = 0;
    const Generations killed(run_, [&] {
      if (calls++ == kill_at) {
        throw Killed();
      }
    });
    bool was_killed = false;
    try {
      killed.save(tensors_of(after(3)), at(3, 3), identity_, "one\ntwo\nthree\n", true);
    } catch (const Killed&) {
      was_killed = true;
    }
    EXPECT_EQ(epoch_after_load(), was_killed ? 2 : 3);
    EXPECT_TRUE(Checkpoint(run_.checkpoints() / "best").exists());
    if (!was_killed) {
      EXPECT_GT(kill_at, 4);
      return;
    }
  }
}

}  // namespace
}  // namespace xtasc::train
