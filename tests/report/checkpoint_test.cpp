// Which numbers of a run are shown: mean10 beside the best and the last epoch.
#include "report/checkpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/results_fixture.hpp"
#include "report/table.hpp"
#include "report/table_csv.hpp"
#include "report/table_markdown.hpp"

namespace xtasc::report {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// Each epoch 0.001 better than the one before; \param lacking  the epoch without delta_1, which no table shows
void write_rising(const fs::path& root, const std::string& name, std::int64_t num_epochs, std::int64_t lacking = 0) {
  const run::RunFolder run =
      test::write_run(root, {.name = name, .settings = {fmt::format("train.epochs={}", num_epochs)}});
  std::string lines;
  for (std::int64_t epoch = 1; epoch <= num_epochs; ++epoch) {
    run::EpochRecord record = test::synthetic_epoch(epoch, true, 0.001 * static_cast<double>(epoch));
    if (epoch == lacking) {
      record.paper.erase("delta_1");
    }
    lines += run::to_json_line(record) + '\n';
  }
  test::write_text(run.metrics(), lines);
}

run::LoadedRuns load(const fs::path& root) {
  return run::load_runs(std::vector<fs::path>{root});
}

const std::vector<Protocol> kPaper = {Protocol::paper};

TEST(Mean10, IsTheMeanOfTheLastTenEpochs) {
  const test::TempFolder folder;
  write_rising(folder.path(), "twelve", 12);
  const run::LoadedRuns loaded = load(folder.path());
  const auto tables = make_tables(loaded.runs, kPaper, Checkpoint::mean10);
  const run::MetricValues& metrics = tables.at(0).rows.at(0).metrics;
  EXPECT_NEAR(metrics.at("miou"), 0.3 + 0.0075, 1e-12) << "of epochs 3 to 12";
  EXPECT_NEAR(metrics.at("abs_err"), 0.64 - 0.0075, 1e-12);
  EXPECT_NEAR(metrics.at("delta_1"), 0.5 + 0.0075, 1e-12);
  const std::vector<Protocol> dataset = {Protocol::dataset};
  EXPECT_NEAR(make_tables(loaded.runs, dataset, Checkpoint::mean10)[0].rows[0].metrics.at("miou"), 0.25 + 0.0075,
              1e-12);
  EXPECT_THAT(to_sheet(tables[0]).title, HasSubstr("`paper` protocol, mean10 (last ten epochs' mean)"));
  EXPECT_THAT(to_csv(tables), HasSubstr(",mean10,"));
  EXPECT_THAT(to_csv(tables), HasSubstr(",3-12,"));
}

TEST(Mean10, HasAMetricThatEachOfTheTenHas) {
  const test::TempFolder folder;
  write_rising(folder.path(), "before", 12, 2);
  write_rising(folder.path(), "within", 12, 3);
  const run::LoadedRuns loaded = load(folder.path());
  ASSERT_THAT(loaded.runs, SizeIs(2));
  EXPECT_TRUE(loaded.runs[0].mean10->paper.contains("delta_1"));
  EXPECT_FALSE(loaded.runs[1].mean10->paper.contains("delta_1"));
  EXPECT_TRUE(loaded.runs[1].mean10->dataset.contains("delta_1"));
}

TEST(Mean10, LeavesOutWhatHasFewerEpochs) {
  const test::TempFolder folder;
  write_rising(folder.path(), "nine", 9);
  write_rising(folder.path(), "ten", 10);
  for (const Checkpoint checkpoint : {Checkpoint::best, Checkpoint::last}) {
    run::LoadedRuns all = load(folder.path());
    leave_out_runs_without(checkpoint, all);
    EXPECT_THAT(all.runs, SizeIs(2));
    EXPECT_THAT(all.left_out, IsEmpty());
  }
  run::LoadedRuns loaded = load(folder.path());
  leave_out_runs_without(Checkpoint::mean10, loaded);
  ASSERT_THAT(loaded.runs, SizeIs(1));
  EXPECT_EQ(loaded.runs[0].folder.filename(), "ten");
  ASSERT_THAT(loaded.left_out, SizeIs(1));
  EXPECT_EQ(loaded.left_out[0].reason, "mean10 is of the last 10 epochs, and this run has 9");
}

TEST(CheckpointWords, ReadBackToTheirCheckpoints) {
  for (const Checkpoint checkpoint : {Checkpoint::best, Checkpoint::last, Checkpoint::mean10}) {
    EXPECT_EQ(checkpoint_of(name(checkpoint)), checkpoint);
  }
  try {
    static_cast<void>(checkpoint_of("mean"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "there is no checkpoint \"mean\"; known are best, last, mean10");
  }
}

}  // namespace
}  // namespace xtasc::report
