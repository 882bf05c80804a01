// Which run folders tables take, which they leave out, and which of them count as the same net.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/aggregate.hpp"
#include "report/axes_sheet.hpp"
#include "report/results_fixture.hpp"
#include "report/table.hpp"
#include "run/run_id.hpp"

namespace xtasc::run {
namespace {

namespace fs = std::filesystem;
using test::SyntheticRun;
using test::TempFolder;
using test::write_run;
using test::write_text;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

LoadedRuns load(const fs::path& root) {
  return load_runs(std::vector<fs::path>{root});
}

std::vector<report::Table> paper_tables(const LoadedRuns& loaded) {
  const std::vector<report::Protocol> paper = {report::Protocol::paper};
  return report::make_tables(loaded.runs, paper, report::Checkpoint::best);
}

/// A whole run whose second epoch is `record`.
void write_with_epoch(const fs::path& root, const std::string& name, const EpochRecord& record) {
  const RunFolder run = write_run(root, {.name = name});
  write_text(run.metrics(), "");
  test::append_metrics(run.metrics(), test::synthetic_epoch(1, true, 0.0));
  test::append_metrics(run.metrics(), record);
  test::append_metrics(run.metrics(), test::synthetic_epoch(3, false, 0.0));
}

TEST(LoadRuns, LeavesOutRunsThatDiverged) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const TempFolder folder;
  EpochRecord record = test::synthetic_epoch(2, false, 0.0);
  write_with_epoch(folder.path(), "sound", record);
  record.val_loss["total"] = kNaN;
  write_with_epoch(folder.path(), "loss", record);
  record = test::synthetic_epoch(2, false, 0.0);
  record.paper["abs_err"] = kNaN;
  write_with_epoch(folder.path(), "metric", record);
  const LoadedRuns loaded = load(folder.path());
  EXPECT_THAT(loaded.runs, SizeIs(1));
  ASSERT_THAT(loaded.left_out, SizeIs(2));
  EXPECT_EQ(loaded.left_out[0].reason, "diverged: the validation loss of epoch 2 is not a finite number");
  EXPECT_EQ(loaded.left_out[1].reason, "diverged: abs_err (paper protocol) of epoch 2 is not a finite number");
}

TEST(LoadRuns, TakesTheValidationSplitsNumbersOfARunThatHeldImagesOut) {
  const TempFolder folder;
  const SyntheticRun held = {.name = "held", .settings = {"data.holdout=0.25"}};
  const RunFolder run = write_run(folder.path(), held);
  const LoadedRuns loaded = load(folder.path());
  ASSERT_THAT(loaded.runs, SizeIs(1));
  EXPECT_EQ(loaded.runs[0].best->epoch, 2);
  EXPECT_EQ(loaded.runs[0].last.epoch, 3);
  EXPECT_DOUBLE_EQ(loaded.runs[0].best->paper.at("miou"), 0.3);  // 0.15 of the held-out images
  EXPECT_DOUBLE_EQ(loaded.runs[0].last.paper.at("miou"), 0.29);
  const std::string at_end = test::read_text(run.final_metrics());
  const auto reason_with = [&](const std::string& text) {
    write_text(run.final_metrics(), text);
    const LoadedRuns found = load(folder.path());
    return found.left_out.size() == 1 ? found.left_out[0].reason : "taken";
  };
  EXPECT_EQ(reason_with(at_end), "taken");
  EXPECT_THAT(reason_with(at_end.substr(0, at_end.find('\n') + 1)),
              HasSubstr("final.jsonl is not of the best and the last epoch of metrics.jsonl"));
  EXPECT_THAT(reason_with(test::read_text(run.metrics())), HasSubstr("final.jsonl is not of the best and the last"));
  std::string changed = at_end;
  changed.replace(changed.find("0.3"), 3, "0.9");
  EXPECT_THAT(reason_with(changed), HasSubstr("it was changed after the run wrote it"));
  fs::remove(run.final_metrics());
  EXPECT_THAT(load(folder.path()).left_out.at(0).reason, HasSubstr("final.jsonl"));
  write_text(run.final_metrics(), at_end);
  write_run(folder.path(), {.name = "plain"});
  write_text(folder.path() / "plain/metrics.jsonl", test::read_text(run.metrics()));
  EXPECT_THAT(load(folder.path()).left_out.at(0).reason, HasSubstr("epoch 1 was measured on held-out images"));
}

TEST(LoadRuns, TakesARunThatPatienceEnded) {
  const TempFolder folder;
  const SyntheticRun ended = {
      .name = "ended", .settings = {"train.epochs=9", "train.patience=1"}, .ends_by_patience = true};
  write_run(folder.path(), ended);
  EXPECT_THAT(load(folder.path()).runs, SizeIs(1));
  SyntheticRun cut = ended;
  cut.name = "cut";
  cut.ends_by_patience = false;
  write_run(folder.path(), cut);
  EXPECT_THAT(load(folder.path()).left_out.at(0).reason, HasSubstr("DONE, but metrics.jsonl ends at epoch 3 of 9"));
}

TEST(LoadRuns, LeavesOutARunWhoseConfigSomebodyEdited) {
  const TempFolder folder;
  const auto settings = [](const std::string& seed) {
    return std::vector<std::string>{"data.pack=scenes.h5", "model.encoder=resnet18", "train.epochs=3",
                                    "data.pack_digest=00112233445566778899aabbccddeeff", "run.seed=" + seed};
  };
  const config::RunConfig config = config::run_config_of(settings("1"));
  const RunFolder run = write_run(folder.path(), {.name = run_id(config), .settings = settings("1")});
  EXPECT_THAT(load(folder.path()).left_out, IsEmpty());
  write_text(run.config(), config::to_toml(config::run_config_of(settings("7")), false));
  const LoadedRuns loaded = load(folder.path());
  EXPECT_THAT(loaded.runs, IsEmpty());
  ASSERT_THAT(loaded.left_out, SizeIs(1));
  EXPECT_THAT(loaded.left_out[0].reason, HasSubstr("is not the config that this run was made with"));
}

TEST(LoadRuns, RunsOfBeforeAndOfNowMakeOneRowWhereTheyAreTheSameNet) {
  const TempFolder folder;
  const std::string now = "data.pack_digest=00112233445566778899aabbccddeeff";
  const std::string weights = "model.encoder_weights_digest=00000000000000000000000000000001";
  write_run(folder.path(), {.name = "a", .settings = {"run.seed=1", "model.encoder_weights=w.pth"}});
  write_run(folder.path(), {.name = "b", .settings = {"run.seed=2", "model.encoder_weights=w.pth", weights, now}});
  write_run(folder.path(), {.name = "c", .settings = {"run.seed=3", "model.encoder_weights=/x/w.pth", weights, now}});
  write_run(folder.path(), {.name = "d", .settings = {"run.seed=4", now, "data.pack=/scratch/scenes.h5"}});
  write_run(folder.path(), {.name = "e", .settings = {"run.seed=5"}});
  const LoadedRuns loaded = load(folder.path());
  const auto groups = aggregate(paper_tables(loaded).at(0));
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_THAT(groups[0].seeds.size() + groups[1].seeds.size(), 5U);
  EXPECT_THAT(std::max(groups[0].seeds.size(), groups[1].seeds.size()), 3U);
}

TEST(LoadRuns, OtherWeightsUnderTheSameNameAreAnotherNet) {
  const TempFolder folder;
  for (const char* digit : {"1", "2"}) {
    write_run(folder.path(),
              {.name = digit,
               .settings = {"data.pack_digest=00112233445566778899aabbccddeeff", "model.encoder_weights=w.pth",
                            std::string("model.encoder_weights_digest=0000000000000000000000000000000") + digit}});
  }
  const LoadedRuns loaded = load(folder.path());
  const auto groups = aggregate(paper_tables(loaded).at(0));
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_THAT(keys_that_tell_apart(groups, report::model_columns()), testing::Contains("model.encoder_weights_digest"));
}

TEST(KeysThatTellApart, AreNoneThatSayNothingToOneOfTwoNets) {
  const TempFolder folder;
  write_run(folder.path(), {.name = "xtasc", .settings = {"model.system=xtasc", "weighting.method=uncertainty"}});
  write_run(folder.path(), {.name = "base_mt", .settings = {"model.system=base_mt"}});
  const LoadedRuns loaded = load(folder.path());
  const auto groups = aggregate(paper_tables(loaded).at(0));
  const std::vector<report::LabelColumn> encoder = {report::axis_column("model.encoder")};
  EXPECT_THAT(keys_that_tell_apart(groups, encoder),
              ElementsAre("loss.lambda_1", "loss.lambda_2", "model.system", "weighting.method"));
}

TEST(Tables, ShowANetForDepthAloneWithTheLabelSetThatHasNone) {
  const TempFolder folder;
  const auto named = [&](const std::string& name, const char* system, const std::string& label_set) {
    write_run(folder.path(),
              {.name = name, .settings = {std::string("model.system=") + system, "data.label_set=" + label_set}});
  };
  named("seg_7", "base_st_seg", "label_7");
  named("seg_19", "base_st_seg", "label_19");
  named("depth", "base_st_depth", "label_7");
  const LoadedRuns loaded = load(folder.path());
  const auto tables = paper_tables(loaded);
  ASSERT_THAT(tables, SizeIs(2));
  for (const report::Table& table : tables) {
    ASSERT_THAT(table.rows, SizeIs(1));
    EXPECT_THAT(table.rows[0].runs, SizeIs(2)) << "the pair is whole";
  }
}

TEST(Runs, LieSideBySideHoweverTheirPathsAreWritten) {
  const TempFolder folder;
  write_run(folder.path() / "runs", {.name = "a"});
  RunSummary a, b;
  a.folder = folder.path() / "runs/a";
  b.folder = folder.path() / "runs/../runs/./b";
  EXPECT_TRUE(are_side_by_side(a, b));
  b.folder = folder.path() / "others/b";
  EXPECT_FALSE(are_side_by_side(a, b));
}

}  // namespace
}  // namespace xtasc::run
