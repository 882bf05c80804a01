#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>

#include "core/error.hpp"
#include "report/results_fixture.hpp"
#include "run/metrics_log.hpp"
#include "run/provenance.hpp"
#include "run/run_folder.hpp"

namespace xtasc::run {

namespace {

namespace fs = std::filesystem;
using test::read_text;
using test::synthetic_epoch;
using test::TempFolder;
using test::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string error_text(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "one line: " << error.what();
    return error.what();
  }
  return "no error";
}

std::vector<std::int64_t> epochs_of(const std::vector<EpochRecord>& records) {
  std::vector<std::int64_t> epochs;
  for (const EpochRecord& record : records) {
    epochs.push_back(record.epoch);
  }
  return epochs;
}

EpochRecord awkward_record() {
  EpochRecord record;
  record.epoch = 7;
  record.step = 9007199254740993;  // 2^53 + 1: no double holds it
  record.learning_rate = 1e-4;
  record.train_loss = {{"seg", 0.1}, {"depth", 1.0 / 3.0}, {"total", 5e-324}};
  record.val_loss = {{"seg", 1.7976931348623157e308}, {"total", -0.0}};
  record.task_weight = {{"seg", 0.1 + 0.2}};
  record.paper = {{"miou", std::nextafter(0.5, 1.0)}};
  record.dataset = {{"rel_err", 19.78}};
  record.gradients = {{"cosine", {{"seg,depth", -0.25}}}, {"in_conflict", {{"seg,depth", 0.75}}}};
  record.consistency = {{"seg", 0.7}, {"energy_2021", 2.0 / 3.0}};
  record.class_iou = {0.25, std::nullopt, 1.0};
  record.is_best = true;
  record.images_per_second = 12345.678901234567;
  record.seconds = {{"train", 1e-9}};
  return record;
}

TEST(MetricsLine, KeepsEveryDigit) {
  const EpochRecord written = awkward_record();
  const std::string line = to_json_line(written);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const EpochRecord read = from_json_line(line);
  EXPECT_EQ(read.epoch, written.epoch);
  EXPECT_EQ(read.step, written.step);
  EXPECT_EQ(read.learning_rate, written.learning_rate);
  EXPECT_EQ(read.train_loss, written.train_loss);
  EXPECT_EQ(read.val_loss, written.val_loss);
  EXPECT_TRUE(std::signbit(read.val_loss.at("total")));
  EXPECT_EQ(read.task_weight, written.task_weight);
  EXPECT_EQ(read.paper, written.paper);
  EXPECT_EQ(read.dataset, written.dataset);
  EXPECT_EQ(read.consistency, written.consistency);
  EXPECT_EQ(read.gradients, written.gradients);
  EXPECT_EQ(read.class_iou, written.class_iou);
  EXPECT_EQ(read.is_best, written.is_best);
  EXPECT_EQ(read.images_per_second, written.images_per_second);
  EXPECT_EQ(read.seconds, written.seconds);
  EXPECT_EQ(to_json_line(read), line);
}

/// What was measured of held-out images stands where nobody takes it for the validation split's.
TEST(MetricsLine, HeldOutImagesHaveAPlaceOfTheirOwn) {
  const EpochRecord plain = awkward_record();
  EXPECT_THAT(to_json_line(plain), testing::Not(testing::AnyOf(HasSubstr("holdout"), HasSubstr("stopped_by"))));
  EpochRecord record = plain;
  record.is_of_holdout = true;
  record.is_end_of_patience = true;
  const std::string line = to_json_line(record);
  EXPECT_THAT(line, testing::AllOf(HasSubstr("\"holdout\":{\"loss\":{"), HasSubstr("\"stopped_by\":\"train.patience\""),
                                   testing::Not(HasSubstr("val_loss"))));
  const EpochRecord read = from_json_line(line);
  EXPECT_TRUE(read.is_of_holdout && read.is_end_of_patience);
  EXPECT_EQ(read.val_loss, plain.val_loss);
  EXPECT_EQ(read.paper, plain.paper);
  EXPECT_EQ(read.dataset, plain.dataset);
  EXPECT_EQ(read.class_iou, plain.class_iou);
  EXPECT_EQ(to_json_line(read), line);
}

TEST(MetricsLine, WritesNanAsNullAndReadsItAsAbsent) {
  EpochRecord record = awkward_record();
  record.paper = {{"miou", kNan}, {"pix_acc", 0.5}, {"abs_err", std::numeric_limits<double>::infinity()}};
  record.class_iou = {kNan};
  record.learning_rate = kNan;
  const std::string line = to_json_line(record);
  EXPECT_THAT(line, HasSubstr(R"("paper":{"abs_err":null,"miou":null,"pix_acc":0.5})"));
  const EpochRecord read = from_json_line(line);
  EXPECT_EQ(read.paper, (MetricValues{{"pix_acc", 0.5}}));
  EXPECT_THAT(read.class_iou, ElementsAre(std::nullopt));
  EXPECT_TRUE(std::isnan(read.learning_rate));
}

/// The line as versions wrote it that had no digests.
std::string without_digest(const std::string& line) {
  return line.substr(0, line.find(",\"digest\"")) + "}";
}

TEST(MetricsLine, ReadsWhatAVersionWithoutConsistencyWrote) {
  EpochRecord record = awkward_record();
  record.consistency.clear();
  std::string line = without_digest(to_json_line(record));
  const std::string field = R"("consistency":{},)";
  ASSERT_THAT(line, HasSubstr(field));
  line.erase(line.find(field), field.size());
  EXPECT_EQ(from_json_line(line).dataset, record.dataset);
}

TEST(MetricsLine, NamesTheFieldThatIsWrong) {
  const std::string line = without_digest(to_json_line(awkward_record()));
  const auto with = [&line](const std::string& old_text, const std::string& new_text) {
    std::string changed = line;
    changed.replace(changed.find(old_text), old_text.size(), new_text);
    return error_text([&changed] { static_cast<void>(from_json_line(changed)); });
  };
  EXPECT_EQ(with(R"("epoch":7,)", ""), R"(the field "epoch" is missing)");
  EXPECT_EQ(with(R"("epoch":7)", R"("epoch":1.5)"), R"(the field "epoch" is 1.5, a whole number is needed)");
  EXPECT_EQ(with(R"("epoch":7)", R"("epoch":0)"), R"(the field "epoch" is 0, a number from 1 is needed)");
  EXPECT_EQ(with(R"("is_best":true)", R"("is_best":1)"), R"(the field "is_best" is number, true or false is needed)");
  EXPECT_EQ(with(R"("miou":)", R"("miou":"x","y":)"),
            R"(the field "paper.miou" is string, a number or null is needed)");
  EXPECT_THAT(with("{", "["), StartsWith("not JSON at byte"));
  EXPECT_THAT(with("12345.6", "1e999"), StartsWith("not JSON: a number is out of range"));
  EXPECT_EQ(error_text([] { static_cast<void>(from_json_line("[1]")); }), "found array, an object {...} is needed");
}

TEST(MetricsFile, AppendsAndReadsBack) {
  const TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  for (std::int64_t epoch = 1; epoch <= 40;
       ++epoch) {  // 40 lines: more than one block of the search for the last newline
    test::append_metrics(path, synthetic_epoch(epoch, false, 0.01));
  }
  EXPECT_EQ(read_metrics(path).size(), 40U);
  EXPECT_EQ(read_metrics(path).back().step, 4000);
}

TEST(MetricsFile, LeavesOutATornLastLineAndAppendsAfterIt) {
  const TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  test::append_metrics(path, synthetic_epoch(1, true, 0.0));
  const std::string whole = read_text(path);
  const std::string second = to_json_line(synthetic_epoch(2, true, 0.1)) + '\n';
  for (std::size_t length = 0; length < second.size(); ++length) {
    write_text(path, whole + second.substr(0, length));
    ASSERT_THAT(epochs_of(read_metrics(path)), ElementsAre(1)) << "torn after " << length << " bytes";
  }
  test::append_metrics(path, synthetic_epoch(2, true, 0.1));
  EXPECT_EQ(read_text(path), whole + second);
  // A torn line longer than a block of the search, and one that is all there is.
  write_text(path, whole + std::string(10000, 'x'));
  test::append_metrics(path, synthetic_epoch(2, true, 0.1));
  EXPECT_EQ(read_text(path), whole + second);
  write_text(path, std::string(10000, 'x'));
  test::append_metrics(path, synthetic_epoch(1, true, 0.0));
  EXPECT_EQ(read_text(path), whole);
}

TEST(MetricsFile, CountsAnEpochOnceAfterAResume) {
  const TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  for (const std::int64_t epoch : {1, 2, 3, 4}) {
    test::append_metrics(path, synthetic_epoch(epoch, false, 0.0));
  }
  test::append_metrics(path, synthetic_epoch(3, false, 0.2));
  const auto records = read_metrics(path);
  EXPECT_THAT(epochs_of(records), ElementsAre(1, 2, 3));
  EXPECT_EQ(records.back().paper.at("miou"), 0.5);
}

TEST(MetricsFile, NamesFileAndLineOfABadOne) {
  const TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  test::append_metrics(path, synthetic_epoch(1, false, 0.0));
  const std::string whole = read_text(path);
  write_text(path, whole + "{\"epoch\": 2}\n" + whole);
  EXPECT_EQ(error_text([&path] { static_cast<void>(read_metrics(path)); }),
            path.string() + ":2: the field \"step\" is missing");
  write_text(path, whole + whole + "\n");
  EXPECT_THAT(error_text([&path] { static_cast<void>(read_metrics(path)); }),
              StartsWith(path.string() + ":3: not JSON"));
  EXPECT_THAT(error_text([&folder] { static_cast<void>(read_metrics(folder.path() / "none.jsonl")); }),
              HasSubstr("none.jsonl"));
}

/// The lines of epochs 1 to `last`.
std::string history_until(std::int64_t last) {
  std::string text;
  for (std::int64_t epoch = 1; epoch <= last; ++epoch) {
    text += to_json_line(synthetic_epoch(epoch, false, 0.0)) + '\n';
  }
  return text;
}

TEST(MetricsFile, GoesOnFromTheHistoryOfACheckpoint) {
  const TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  const fs::path aside = folder.path() / "metrics.jsonl.damaged";
  const auto restored = [&](const std::string& history) {
    MetricsLog log(path);
    log.restore(history);
    EXPECT_EQ(log.history(), history);
    return fs::exists(path) ? read_text(path) : "no file";
  };
  EXPECT_EQ(restored(""), "no file");  // stopped before the first epoch: nothing there, nothing to do
  write_text(path, history_until(3) + "{\"torn");
  EXPECT_EQ(restored(history_until(3)), history_until(3));
  EXPECT_EQ(restored(history_until(2)), history_until(2));
  EXPECT_FALSE(fs::exists(aside));  // what was cut comes again

  EXPECT_EQ(restored(history_until(3)), history_until(3));  // cut short: epochs come from the checkpoint
  EXPECT_FALSE(fs::exists(aside));                          // nothing was lost
  fs::remove(path);
  EXPECT_EQ(restored(history_until(3)), history_until(3));
  std::string changed = history_until(3);
  changed[changed.find("0.25")] = '9';
  write_text(path, changed);
  EXPECT_EQ(restored(history_until(3)), history_until(3));
  EXPECT_EQ(read_text(aside), changed);
}

TEST(MetricsFile, AChangedLineIsNoticed) {
  const std::string line = to_json_line(synthetic_epoch(1, true, 0.0));
  EXPECT_NO_THROW(static_cast<void>(from_json_line(line)));
  const TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  const EpochRecord good = from_json_line(line);
  for (std::size_t i = 0; i < line.size() * 8; i += 3) {  // every third bit
    std::string changed = line;
    changed[i / 8] = static_cast<char>(changed[i / 8] ^ (1 << (i % 8)));
    write_text(path, changed + '\n');
    try {
      EXPECT_TRUE(read_metrics(path, Digests::needed).empty()) << changed;  // a newline within: two torn lines
    } catch (const Error&) {
    }
  }
  write_text(path, line + '\n');
  EXPECT_EQ(to_json_line(read_metrics(path, Digests::needed).at(0)), to_json_line(good));
}

TEST(MetricsFile, LinesOfVersionsWithoutDigestsAreRead) {
  const std::string line = without_digest(to_json_line(synthetic_epoch(1, true, 0.0)));
  const TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  write_text(path, line + '\n');
  EXPECT_EQ(read_metrics(path).size(), 1U);
  EXPECT_EQ(error_text([&path] { static_cast<void>(read_metrics(path, Digests::needed)); }),
            path.string() + ":1: the line lacks its digest: it was changed after the run");
}

/// What a run does after an epoch.
void append(MetricsLog& log, std::int64_t epoch) {
  log.add(synthetic_epoch(epoch, false, 0.0));
  log.write();
}

TEST(MetricsFile, AFullDiskEndsNoRunButItsEnd) {
  if (::access("/dev/full", W_OK) != 0) {
    GTEST_SKIP() << "this system has no /dev/full";
  }
  const TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  MetricsLog log(path);
  fs::create_symlink("/dev/full", path);
  EXPECT_NO_THROW(append(log, 1));
  EXPECT_NO_THROW(append(log, 2));
  EXPECT_EQ(error_text([&log] { log.require_written(); }),
            "cannot append to " + path.string() + ": No space left on device");
  fs::remove(path);
  EXPECT_NO_THROW(log.require_written());
  EXPECT_EQ(read_text(path), history_until(2));
}

TEST(Restart, IsGoneWithOneRenameAndFinishedByTheNextStart) {
  const TempFolder folder;
  const RunFolder run{folder.path() / "run"};
  for (const fs::path& path : {run.checkpoints() / "last", run.tensorboard(), run.profile()}) {
    fs::create_directories(path);
  }
  for (const fs::path& path : {run.config(), run.provenance(), run.metrics(), run.done_marker(), run.log()}) {
    write_text(path, "old");
  }
  EXPECT_TRUE(run.is_done());
  write_text(run.restart_marker(), "");  // killed right after the rename
  EXPECT_FALSE(run.is_done());
  finish_restart(run);
  for (const fs::path& path :
       {run.provenance(), run.metrics(), run.done_marker(), run.checkpoints(), run.tensorboard(), run.profile()}) {
    EXPECT_FALSE(fs::exists(path)) << path;
  }
  EXPECT_FALSE(fs::exists(run.restart_marker()));
  EXPECT_EQ(read_text(run.log()), "old");
  write_text(run.done_marker(), "new");
  finish_restart(run);  // nothing to finish
  EXPECT_TRUE(run.is_done());
  restart(run);
  EXPECT_FALSE(run.is_done());
}

/// Files of this process cannot grow beyond `num_bytes` while it lives: a write is cut there, the next one fails.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t num_bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit lower{num_bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &lower);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = SIG_DFL;
};

TEST(MetricsFile, IsAsItWasAfterAnAppendThatFailedHalfway) {
  const TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  MetricsLog log(path);
  append(log, 1);
  {
    const FileSizeLimit limit(history_until(1).size() + 25);
    append(log, 2);
    EXPECT_EQ(error_text([&log] { log.require_written(); }), "cannot append to " + path.string() + ": File too large");
  }
  EXPECT_EQ(read_text(path), history_until(1));
  append(log, 3);
  EXPECT_EQ(read_text(path), history_until(3));
}

}  // namespace

}  // namespace xtasc::run
