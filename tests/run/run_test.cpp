#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
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
using ::testing::EndsWith;
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
  EXPECT_EQ(read.class_iou, written.class_iou);
  EXPECT_EQ(read.is_best, written.is_best);
  EXPECT_EQ(read.images_per_second, written.images_per_second);
  EXPECT_EQ(read.seconds, written.seconds);
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
  fs::create_directories(run.checkpoints() / "last");
  for (const fs::path& path : {run.config(), run.provenance(), run.metrics(), run.done_marker(), run.log()}) {
    write_text(path, "old");
  }
  EXPECT_TRUE(run.is_done());
  write_text(run.restart_marker(), "");  // killed right after the rename
  EXPECT_FALSE(run.is_done());
  finish_restart(run);
  for (const fs::path& path : {run.provenance(), run.metrics(), run.done_marker(), run.checkpoints()}) {
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

TEST(ProvenanceFile, ReadsBackAsWritten) {
  const TempFolder folder;
  const fs::path path = folder.path() / "provenance.json";
  Provenance written;
  written.version = "0.1.0";
  written.commit = "1a2b3c";
  written.libraries = {{"torch", "2.11.0"}, {"mpi", "Open MPI 4.1.4"}};
  written.hosts = {"node1", "node2"};
  written.devices = {"cpu (\"quoted\", 1 thread)", "cuda:0"};
  written.world_size = 2;
  written.precision = "bf16";
  written.pack_path = "data/\xff.h5";  // a file name need not be UTF-8, JSON must be
  written.pack_digest = "00ff";
  written.pack_height = 96;
  written.pack_depth_kind = "metres";
  written.pack_orientation = "ignore";
  written.command_line = {"xtasc-train", "--set", "train.epochs=3"};
  written.started = "2026-01-31T12:34:56Z";
  written.resumed = {"2026-02-01T00:00:00Z"};
  written.num_parameters = 21445184;
  written.pack_bytes = 5;
  written.pack_modified = 1'700'000'000'123'456'789;
  written.starts = {start_of(written), start_of(written)};
  written.starts[1].time = "2026-02-01T00:00:00Z";
  written.starts[1].epoch = 3;
  written.starts[1].world_size = 1;
  written.starts[1].commit = "4d5e6f";
  write_provenance(path, written);
  const Provenance read = read_provenance(path);
  EXPECT_EQ(read.version, written.version);
  EXPECT_EQ(read.libraries, written.libraries);
  EXPECT_EQ(read.hosts, written.hosts);
  EXPECT_EQ(read.devices, written.devices);
  EXPECT_EQ(read.world_size, 2);
  EXPECT_EQ(read.pack_path, "data/\xef\xbf\xbd.h5");
  EXPECT_EQ(read.pack_height, 96);
  EXPECT_EQ(read.pack_depth_kind, "metres");
  EXPECT_EQ(read.pack_orientation, "ignore");
  EXPECT_EQ(read.command_line, written.command_line);
  EXPECT_EQ(read.finished, "");
  EXPECT_EQ(read.resumed, written.resumed);
  EXPECT_EQ(read.num_parameters, written.num_parameters);
  EXPECT_EQ(read.pack_bytes, 5);
  EXPECT_EQ(read.pack_modified, written.pack_modified);
  ASSERT_EQ(read.starts.size(), 2U);
  EXPECT_EQ(read.starts[1].epoch, 3);
  EXPECT_EQ(difference_of_last_starts(read), "version 0.1.0 (4d5e6f) instead of 0.1.0 (1a2b3c); ranks 1 instead of 2");

  write_text(path, "{\"version\": \"0.1.0\", \"commit\": 3}\n");
  EXPECT_EQ(error_text([&path] { static_cast<void>(read_provenance(path)); }),
            path.string() + ": the field \"commit\" is number, a text is needed");
}

TEST(UtcNow, HonoursSourceDateEpoch) {
  ::setenv("SOURCE_DATE_EPOCH", "1769862896", 1);
  EXPECT_EQ(utc_now(), "2026-01-31T12:34:56Z");
  ::setenv("SOURCE_DATE_EPOCH", "soon", 1);
  EXPECT_THAT(error_text([] { static_cast<void>(utc_now()); }), HasSubstr("SOURCE_DATE_EPOCH is \"soon\""));
  ::unsetenv("SOURCE_DATE_EPOCH");
  EXPECT_THAT(utc_now(), ::testing::AllOf(StartsWith("20"), EndsWith("Z")));
}

TEST(RunFolders, AreMadeWithTheirParentsAndLeftClean) {
  const TempFolder folder;
  const RunFolder run{folder.path() / "sweep" / "run"};
  prepare_run_folder(run);
  prepare_run_folder(run);
  EXPECT_TRUE(fs::is_empty(run.root));
  EXPECT_FALSE(run.is_done());
}

TEST(RunFolders, AreRefusedWhereNothingCanBeWritten) {
  const TempFolder folder;
  write_text(folder.path() / "file", "");
  const fs::path below_file = folder.path() / "file" / "run";
  EXPECT_EQ(error_text([&below_file] { prepare_run_folder(RunFolder{below_file}); }),
            "cannot make the run folder " + below_file.string() + ": Not a directory");

  const fs::path locked = folder.path() / "locked";
  fs::create_directory(locked);
  ::chmod(folder.path().c_str(), 0755);
  ::chmod(locked.c_str(), 0555);
  const uid_t user = ::geteuid();
  constexpr uid_t kNobody = 65534;
  if (user == 0 && ::seteuid(kNobody) != 0) {
    GTEST_SKIP() << "root writes everywhere, and cannot step down here";
  }
  const std::string existing = error_text([&locked] { prepare_run_folder(RunFolder{locked}); });
  const std::string missing = error_text([&locked] { prepare_run_folder(RunFolder{locked / "run"}); });
  ASSERT_EQ(::seteuid(user), 0);
  EXPECT_THAT(existing, ::testing::AllOf(HasSubstr(locked.string()), HasSubstr("Permission denied")));
  EXPECT_EQ(missing, "cannot make the run folder " + (locked / "run").string() + ": Permission denied");
}

TEST(RunFolders, AreFoundBelowARoot) {
  const TempFolder folder;
  const fs::path& root = folder.path();
  EXPECT_THAT(error_text([&root] { static_cast<void>(find_run(root)); }), HasSubstr("found no config.toml"));
  for (const char* name : {"b", "a/one", "a/two", "a/two/checkpoint/best", "empty"}) {
    fs::create_directories(root / name);
  }
  for (const char* name : {"b", "a/one", "a/two", "a/two/checkpoint/best"}) {
    write_text(root / name / "config.toml", "");
  }
  std::vector<fs::path> found;
  for (const RunFolder& run : find_runs(root)) {
    found.push_back(run.root);
  }
  EXPECT_THAT(found, ElementsAre(root / "a/one", root / "a/two", root / "b"));
  EXPECT_EQ(find_run(root / "b").root, root / "b");
  fs::create_directories(root / "c/single");
  write_text(root / "c/single/config.toml", "");
  EXPECT_EQ(find_run(root / "c").root, root / "c/single");
  try {
    static_cast<void>(find_run(root / "a"));
    FAIL() << "two runs, none meant";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "2 runs below " + (root / "a").string() + ": give the folder of one of them");
    EXPECT_THAT(error.details(), ElementsAre((root / "a/one").string(), (root / "a/two").string()));
  }
  EXPECT_THAT(error_text([&root] { static_cast<void>(find_runs(root / "none")); }), HasSubstr("no folder"));
  EXPECT_THAT(error_text([&root] { static_cast<void>(find_runs(root / "b/config.toml")); }), HasSubstr("not a folder"));
}

TEST(RunFolders, LinksToFoldersAreFollowedAndEachRunIsFoundOnce) {
  const TempFolder folder;
  const fs::path root = folder.path() / "runs", scratch = folder.path() / "scratch";
  for (const fs::path& run : {root / "z/here", scratch / "sweep/one", scratch / "sweep/two", scratch / "other",
                              folder.path() / "beside", root / "z/here/checkpoint/best"}) {
    fs::create_directories(run);
    write_text(run / "config.toml", "");
  }
  fs::create_directory_symlink("../scratch/sweep", root / "sweep");        // a folder of runs
  fs::create_directory_symlink("../../scratch/other", root / "z/linked");  // a run
  fs::create_directory_symlink("z/here", root / "a");                      // found without a link too
  fs::create_directory_symlink("../scratch/sweep/two", root / "again");    // two links to one run
  fs::create_directory_symlink("..", root / "z/up");                       // a loop
  fs::create_directory_symlink("../..", root / "z/outside");               // above the root: not entered
  fs::create_directory_symlink(root / "z/here", scratch / "sweep/back");   // a link behind a link
  fs::create_symlink("/gone/sweep", root / "dead");
  fs::create_symlink("nowhere", root / ".lock");
  const auto found = [](const fs::path& where) {
    std::vector<fs::path> roots;
    for (const RunFolder& run : find_runs(where)) {
      roots.push_back(run.root);
    }
    return roots;
  };
  testing::internal::CaptureStderr();
  EXPECT_THAT(found(root), ElementsAre(root / "again", root / "sweep/one", root / "z/here", root / "z/linked"));
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("runs/dead is left out: it is a link that leads nowhere (/gone/sweep)"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
  EXPECT_THAT(found(root / "sweep"), ElementsAre(root / "sweep/back", root / "sweep/one", root / "sweep/two"));
  EXPECT_EQ(find_run(root / "z/linked").root, root / "z/linked");
}

}  // namespace

}  // namespace xtasc::run
