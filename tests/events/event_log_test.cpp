#include "events/event_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "events/epoch_numbers.hpp"
#include "events/event_file.hpp"
#include "report/results_fixture.hpp"

namespace xtasc::events {

namespace {

namespace fs = std::filesystem;
using test::read_text;
using test::synthetic_epoch;
using test::TempFolder;
using test::write_text;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// "live/loss 20" or "train/step 2": the records of a file, by their first tags.
std::vector<std::string> contents(const fs::path& file) {
  std::vector<std::string> found;
  for (const Record& record : records_of(read_text(file)).records) {
    found.push_back(fmt::format("{} {}", record.tag, record.step));
  }
  return found;
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::vector<run::EpochRecord> history(std::int64_t epochs) {
  std::vector<run::EpochRecord> records;
  for (std::int64_t epoch = 1; epoch <= epochs; ++epoch) {
    records.push_back(synthetic_epoch(epoch, /*is_best=*/false, /*quality=*/0.0));
  }
  return records;
}

class EventLogTest : public testing::Test {
 protected:
  /// A start that goes on behind `epochs` epochs of ten steps and takes `more` of them, with a loss in the middle of
  /// each.
  void train(std::int64_t epochs, std::int64_t more) {
    EventLog log(folder_.path(), {.epochs = epochs, .steps = 10 * epochs}, history(epochs), {"floor"});
    if (log.is_new()) {
      log.add_text("config", "all of it");
    }
    for (std::int64_t epoch = epochs + 1; epoch <= epochs + more; ++epoch) {
      log.add_live(10 * epoch - 5, {{"loss", 0.5}});
      log.add_epoch(history(epoch).back());
    }
    log.write();
  }
  [[nodiscard]] std::vector<std::vector<std::string>> all() const {
    std::vector<std::vector<std::string>> found;
    for (const fs::path& file : files_in(folder_.path())) {
      found.push_back(contents(file));
    }
    return found;
  }

  TempFolder folder_;
};

}  // namespace

TEST(EventFile, ChecksumIsThePublishedOne) {
  // CRC-32C of "123456789" is E3069283 (RFC 3720, B.4); masked as TensorFlow does.
  const std::uint32_t crc = 0xE3069283U;
  EXPECT_EQ(masked_crc("123456789"), ((crc >> 15) | (crc << 17)) + 0xA282EAD8U);
}

TEST(EventFile, EndsWhereItWasCutOrChanged) {
  const std::string first = numbers_record(1, {{"train/step", 3.0}});
  const std::string second = text_record(0, "config", "x");
  for (std::size_t length = 0; length < second.size(); ++length) {
    const Records found = records_of(first + second.substr(0, length));
    EXPECT_EQ(found.end, first.size()) << length;
    EXPECT_FALSE(found.is_damaged) << length;
  }
  for (std::size_t place = 0; place < second.size(); ++place) {
    std::string changed = second;
    changed[place] = static_cast<char>(changed[place] ^ 1);
    const Records found = records_of(first + changed);
    EXPECT_EQ(found.end, first.size()) << place;
    EXPECT_TRUE(found.is_damaged) << place;
  }
}

TEST(EpochNumbers, HoldEveryNumberOnce) {
  run::EpochRecord record = synthetic_epoch(2, /*is_best=*/false, /*quality=*/0.0);
  record.train_loss = {{"seg", 0.1}, {"total", 0.2}};
  record.paper = {{"miou", 0.25}, {"rmse", 0.5}, {"angle_mean", 20.0}};
  record.class_iou = {0.5, std::nullopt, 0.75};
  record.gradients = {{"cosine", {{"seg,depth", -0.5}}}};
  record.machine = {{"flops", {{"of_peak", 0.4}}}};
  std::vector<std::string> tags;
  for (const Number& number : numbers_of(record, {"floor", "wall", "tree / bush"})) {
    tags.push_back(number.tag);
  }
  for (const char* tag : {"train/loss", "val/loss", "val/seg/mIoU", "val/depth/rmse", "val/normals/Mean_angle",
                          "val_dataset/iou/0_floor", "val_dataset/iou/2_tree / bush", "gradients/cosine/seg,depth",
                          "machine/flops/of_peak", "train/learning_rate", "seconds/train"}) {
    EXPECT_EQ(std::ranges::count(tags, tag), 1) << tag;
  }
  std::ranges::sort(tags);
  EXPECT_EQ(std::ranges::adjacent_find(tags), tags.end()) << "a tag for two numbers";
  record.is_of_holdout = true;
  const auto held_out = numbers_of(record, {});
  EXPECT_TRUE(std::ranges::any_of(held_out, [](const Number& one) { return one.tag == "holdout/loss"; }));
}

TEST_F(EventLogTest, AStartCutsBackWhatTheCheckpointDoesNotKnow) {
  train(0, 3);
  ASSERT_THAT(all(), ElementsAre(ElementsAre(" 0", "config 0", "live/loss 5", "train/step 1", "live/loss 15",
                                             "train/step 2", "live/loss 25", "train/step 3")));
  train(2, 1);  // it was killed before the third epoch's checkpoint
  EXPECT_THAT(all(),
              ElementsAre(ElementsAre(" 0", "config 0", "live/loss 5", "train/step 1", "live/loss 15", "train/step 2"),
                          ElementsAre(" 0", "live/loss 25", "train/step 3")));
}

TEST_F(EventLogTest, HalfARecordIsCutOff) {
  train(0, 1);
  const fs::path file = files_in(folder_.path()).front();
  const std::string whole = read_text(file);
  write_text(file, whole + numbers_record(2, {{"train/step", 20.0}}).substr(0, 20));
  train(1, 0);
  EXPECT_EQ(read_text(file), whole);
}

TEST_F(EventLogTest, WhatIsLostIsWrittenAnewFromTheHistory) {
  train(0, 3);
  const fs::path file = files_in(folder_.path()).front();
  const Records records = records_of(read_text(file));
  std::string damaged = read_text(file);
  damaged[records.records[3].end + 20] ^= 1;  // in what follows the first epoch
  write_text(file, damaged);
  train(3, 1);
  EXPECT_THAT(all(), ElementsAre(ElementsAre(" 0", "config 0", "live/loss 5", "train/step 1"),
                                 ElementsAre(" 0", "train/step 2", "train/step 3", "live/loss 35", "train/step 4")));
  for (const fs::path& one : files_in(folder_.path())) {
    fs::remove(one);
  }
  train(4, 0);  // also where run.tensorboard is new to the run
  EXPECT_THAT(all(), ElementsAre(ElementsAre(" 0", "train/step 1", "train/step 2", "train/step 3", "train/step 4",
                                             "config 0")));
}

TEST_F(EventLogTest, ARunOutlivesAFileThatCannotBeWritten) {
  EventLog log(folder_.path() / "board", {}, {}, {});
  log.add_epoch(history(1).back());
  fs::remove_all(folder_.path() / "board");
  log.write();
  EXPECT_THAT(files_in(folder_.path()), IsEmpty());
  fs::create_directories(folder_.path() / "board");
  log.add_epoch(history(2).back());
  log.write();
  EXPECT_THAT(contents(files_in(folder_.path() / "board").front()), ElementsAre(" 0", "train/step 1", "train/step 2"));
}

}  // namespace xtasc::events
