#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/results_fixture.hpp"
#include "report/table.hpp"
#include "report/table_csv.hpp"
#include "report/table_markdown.hpp"
#include "run/run_summary.hpp"

namespace xtasc::report {

namespace {

namespace fs = std::filesystem;
using test::expect_golden;
using test::SyntheticRun;
using test::TempFolder;
using test::write_run;
using test::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::array<Protocol, 1> kPaper = {Protocol::paper};
constexpr std::array<Protocol, 2> kBoth = {Protocol::paper, Protocol::dataset};

run::LoadedRuns load(const fs::path& root) {
  return run::load_runs(std::vector<fs::path>{root});
}

SyntheticRun base_seg(const std::string& name = "base_st_seg") {
  return {.name = name, .settings = {"model.system=base_st_seg"}, .num_parameters = 14427200};
}
SyntheticRun base_depth(const std::string& name = "base_st_depth") {
  return {.name = name, .settings = {"model.system=base_st_depth"}, .num_parameters = 14426432};
}
SyntheticRun xtasc_run(const std::string& name, double quality, std::vector<std::string> settings = {}) {
  settings.insert(settings.begin(), {"model.system=xtasc", "weighting.method=uncertainty"});
  return {.name = name, .settings = std::move(settings), .quality = quality};
}

std::string with_seed(const Row& row) {
  return row.model + " " + std::to_string(row.runs.front()->config.run.seed) + (row.delta_m ? "" : " no Delta_m");
}

/// A choice that means nothing to any row is not told of them.
TEST(Tables, TellNoWidthOfNetsWithoutSuchDecoders) {
  const auto text_of = [](const std::vector<std::string>& systems) {
    const TempFolder folder;
    for (const std::string& system : systems) {
      write_run(folder.path(), {.name = system, .settings = {"model.system=" + system}});
    }
    const auto loaded = load(folder.path());
    return to_markdown("Results", make_tables(loaded.runs, kPaper, Checkpoint::best), loaded.left_out);
  };
  EXPECT_THAT(text_of({"mtan"}), ::testing::Not(HasSubstr("idth")));
  EXPECT_THAT(text_of({"mtan", "xtasc"}), HasSubstr("decoder width 128"));
}

/// Nets of model.tasks: those of a single task stand together, and SegNet's are what the others are set against.
TEST(Tables, SingleTaskNetsOfModelTasksShareARow) {
  const TempFolder folder;
  const auto add = [&](const std::string& name, std::vector<std::string> settings, double quality) {
    write_run(folder.path(), {.name = name, .settings = std::move(settings), .quality = quality});
  };
  const std::string seg = "model.tasks=[\"segmentation\"]";
  const std::string depth = "model.tasks=[\"depth\"]";
  add("mtan", {"model.system=mtan"}, 0.02);
  add("stan_seg", {"model.system=stan", seg}, 0.01);
  add("stan_depth", {"model.system=stan", depth}, 0.01);
  add("segnet_seg", {"model.system=segnet", seg}, 0.0);
  add("segnet_depth", {"model.system=segnet", depth}, 0.0);
  add("xtasc", {"model.system=xtasc"}, 0.02);
  write_run(folder.path(), base_seg());
  write_run(folder.path(), base_depth());
  const Table table = make_tables(load(folder.path()).runs, kPaper, Checkpoint::best).front();
  std::vector<std::string> rows;
  for (const Row& row : table.rows) {
    rows.push_back(fmt::format("{}: {} of {}", row.model, row.delta_m ? "Delta_m" : "none", row.runs.size()));
  }
  EXPECT_THAT(rows, ElementsAre("Base ST-Net: Delta_m of 2", "XTasC-Net: Delta_m of 1", "SegNet: Delta_m of 2",
                                "STAN: Delta_m of 2", "MTAN: Delta_m of 1"));
  EXPECT_THAT(table.footnotes, IsEmpty());
  EXPECT_DOUBLE_EQ(*table.rows[2].delta_m, 0.0);
  EXPECT_GT(*table.rows[4].delta_m, *table.rows[3].delta_m);

  fs::remove_all(folder.path() / "segnet_depth");
  const Table without = make_tables(load(folder.path()).runs, kPaper, Checkpoint::best).front();
  EXPECT_THAT(
      without.footnotes,
      ElementsAre("Half of a SegNet pair: no finished segnet (depth) run with 3 epochs and seed 1 on this pack",
                  "No Delta_m: no finished SegNet pair (segnet (segmentation) and segnet (depth)) with 3 epochs "
                  "and seed 1 on this pack"));
}

TEST(Tables, PrintAsTheGoldenText) {
  const TempFolder folder;
  const fs::path& root = folder.path();
  for (const SyntheticRun& run :
       {base_seg(), base_depth(), xtasc_run("xtasc", 0.02), xtasc_run("xtasc_2", 0.03, {"run.seed=2"}),
        SyntheticRun{.name = "align", .settings = {"model.system=align"}, .quality = -0.01},
        SyntheticRun{.name = "base_mt", .settings = {"model.system=base_mt"}, .num_parameters = 17677120},
        SyntheticRun{.name = "base_mt_u",
        .settings = {"model.system=base_mt", "weighting.method=uncertainty"},
        .quality = 0.01,
        .num_parameters = 17677120},
        SyntheticRun{.name = "running", .settings = {"train.epochs=10"}, .is_done = false},
        SyntheticRun{.name = "short", .num_epochs = 2}}) {
    write_run(root, run);
  }
  const run::LoadedRuns loaded = load(root);
  const auto tables = make_tables(loaded.runs, kBoth, Checkpoint::best);
  expect_golden(to_markdown("Scenes, \"thin\" run", tables, loaded.left_out), root, "table.md");
  expect_golden(to_csv(tables), root, "table.csv");
}

TEST(Tables, ShowTheBestOrTheLastEpoch) {
  const TempFolder folder;
  write_run(folder.path(), xtasc_run("xtasc", 0.02));
  const run::LoadedRuns loaded = load(folder.path());
  ASSERT_EQ(loaded.runs.size(), 1U);
  EXPECT_EQ(loaded.runs[0].best->epoch, 2);
  EXPECT_EQ(loaded.runs[0].last.epoch, 3);
  EXPECT_DOUBLE_EQ(make_tables(loaded.runs, kPaper, Checkpoint::best)[0].rows[0].metrics.at("miou"), 0.32);
  EXPECT_DOUBLE_EQ(make_tables(loaded.runs, kPaper, Checkpoint::last)[0].rows[0].metrics.at("miou"), 0.31);
}

TEST(Tables, SayWhatChoseTheWeights) {
  const TempFolder folder;
  write_run(folder.path(), base_seg());
  write_run(folder.path(), base_depth());
  write_run(folder.path(), xtasc_run("a", 0.02));
  const auto shown = [&](Checkpoint checkpoint) {
    const run::LoadedRuns loaded = load(folder.path());
    return to_markdown("Results", make_tables(loaded.runs, kPaper, checkpoint), loaded.left_out);
  };
  EXPECT_THAT(shown(Checkpoint::best),
              HasSubstr(" Weights of the best epoch by the validation split, as in the paper. Settings: "));
  EXPECT_THAT(shown(Checkpoint::last), HasSubstr(" Weights of the last epoch. Settings: "));
  // Not set against nets that were chosen otherwise.
  write_run(folder.path(), xtasc_run("b", 0.02, {"data.holdout=0.1"}));
  write_run(folder.path(), xtasc_run("c", 0.02, {"train.patience=5"}));
  const std::string text = shown(Checkpoint::best);
  EXPECT_THAT(text, HasSubstr("Weights of the best epoch by the validation split, as in the paper, or by a held-out "
                              "share of 0.1 of the training images."));
  EXPECT_THAT(text, HasSubstr("| Held out | Patience |"));
  EXPECT_THAT(text, HasSubstr("with resnet18, data.holdout 0.1, 3 epochs and seed 1 on this pack"));
  EXPECT_THAT(text, HasSubstr("with resnet18, train.patience 5, 3 epochs and seed 1 on this pack"));
}

TEST(Tables, SayWhyDeltaIsAbsent) {
  const TempFolder folder;
  write_run(folder.path(), xtasc_run("xtasc", 0.02));
  write_run(folder.path(), base_seg());
  const run::LoadedRuns loaded = load(folder.path());
  const auto tables = make_tables(loaded.runs, kPaper, Checkpoint::best);
  ASSERT_EQ(tables.size(), 1U);
  EXPECT_FALSE(tables[0].rows[1].delta_m);
  EXPECT_THAT(
      tables[0].footnotes,
      ElementsAre("Half of a Base ST-Net pair: no finished base_st_depth run with resnet18, 3 epochs and seed 1 on "
                  "this pack",
                  "No Delta_m: no finished Base ST-Net pair (base_st_seg and base_st_depth) with resnet18, 3 "
                  "epochs and seed 1 on this pack"));
  const std::string text = to_markdown("Results", tables, loaded.left_out);
  EXPECT_THAT(text, HasSubstr("- [2] |"));
  EXPECT_THAT(text, HasSubstr("\n- [2] No Delta_m: no finished Base ST-Net pair"));
}

TEST(Tables, TakeTheBaselineOfTheSameSeedEpochsAndEncoder) {
  const TempFolder folder;
  write_run(folder.path(), base_seg());
  write_run(folder.path(), base_depth());
  write_run(folder.path(), xtasc_run("a", 0.02));
  write_run(folder.path(), xtasc_run("b", 0.02, {"run.seed=2"}));
  write_run(folder.path(), xtasc_run("c", 0.02, {"run.seed=3", "model.encoder=resnet34"}));
  SyntheticRun longer = xtasc_run("d", 0.02, {"run.seed=1", "train.epochs=4"});
  longer.num_epochs = 4;
  write_run(folder.path(), longer);
  SyntheticRun other_pack = xtasc_run("e", 0.02);
  other_pack.pack_digest = "ff";
  write_run(folder.path(), other_pack);

  const run::LoadedRuns loaded = load(folder.path());
  const auto tables = make_tables(loaded.runs, kPaper, Checkpoint::best);
  ASSERT_EQ(tables.size(), 2U);
  std::vector<std::string> rows;
  for (const Table& table : tables) {
    for (const Row& row : table.rows) {
      rows.push_back(with_seed(row));
    }
  }
  EXPECT_THAT(rows, ElementsAre("Base ST-Net 1", "XTasC-Net 1", "XTasC-Net 1 no Delta_m", "XTasC-Net 2 no Delta_m",
                                "XTasC-Net 3 no Delta_m", "XTasC-Net 1 no Delta_m"));
  EXPECT_DOUBLE_EQ(*tables[0].rows[0].delta_m, 0.0);
  // miou .30 -> .32, pix_acc .60 -> .62, abs_err .64 -> .62, rel_err .24 -> .22
  EXPECT_NEAR(*tables[0].rows[1].delta_m, 25.0 * (0.02 / 0.3 + 0.02 / 0.6 + 0.02 / 0.64 + 0.02 / 0.24), 1e-9);
  EXPECT_EQ(tables[0].rows[0].num_parameters, 14427200 + 14426432);
}

TEST(Tables, PreferTheBaselineOfTheSamePrecisionAndRefuseToGuess) {
  const TempFolder folder;
  for (const char* precision : {"fp32", "bf16"}) {
    const std::string set = std::string("run.precision=") + precision;
    SyntheticRun seg = base_seg(std::string("seg_") + precision);
    SyntheticRun depth = base_depth(std::string("depth_") + precision);
    seg.settings.push_back(set);
    depth.settings.push_back(set);
    seg.quality = depth.quality = set.ends_with("bf16") ? 0.02 : 0.0;
    write_run(folder.path(), seg);
    write_run(folder.path(), depth);
  }
  write_run(folder.path(), xtasc_run("xtasc", 0.02, {"run.precision=bf16"}));
  const run::LoadedRuns loaded = load(folder.path());
  const Table table = make_tables(loaded.runs, kPaper, Checkpoint::best)[0];
  ASSERT_EQ(table.rows.size(), 3U);
  EXPECT_NEAR(*table.rows[2].delta_m, 0.0, 1e-9);
  EXPECT_THAT(table.footnotes, IsEmpty());

  write_run(folder.path(), base_seg("seg_again"));
  const run::LoadedRuns more = load(folder.path());
  const Table ambiguous = make_tables(more.runs, kPaper, Checkpoint::best)[0];
  // The bf16 pair stands; of the two fp32 segmentation runs none can be told to be the depth run's other half.
  ASSERT_EQ(ambiguous.rows.size(), 5U);
  EXPECT_THAT(ambiguous.footnotes,
              ::testing::Contains(HasSubstr("2 base_st_seg runs with resnet18, 3 epochs and seed 1")));
}

TEST(Tables, GiveAnAbsentMetricADash) {
  const TempFolder folder;
  SyntheticRun run = xtasc_run("xtasc", 0.02);
  run.num_epochs = 0;
  const run::RunFolder written = write_run(folder.path(), run);
  for (std::int64_t epoch = 1; epoch <= 3; ++epoch) {
    run::EpochRecord record = test::synthetic_epoch(epoch, epoch == 3, 0.02);
    record.paper.erase("rel_err");
    test::append_metrics(written.metrics(), record);
  }
  write_run(folder.path(), base_seg());
  write_run(folder.path(), base_depth());
  const run::LoadedRuns loaded = load(folder.path());
  const auto tables = make_tables(loaded.runs, kPaper, Checkpoint::best);
  EXPECT_THAT(tables[0].footnotes,
              ElementsAre("No Delta_m: one of the four metrics could not be measured here or for Base ST-Net"));
  EXPECT_THAT(to_markdown("Results", tables, {}), HasSubstr("0.6200 |              - |"));
}

TEST(LoadRuns, LeavesOutWhatIsNotWholeAndSaysWhy) {
  const TempFolder folder;
  const fs::path& root = folder.path();
  SyntheticRun run = xtasc_run("a_not_done", 0.0);
  run.is_done = false;
  run.num_epochs = 2;
  write_run(root, run);
  run.name = "b_not_begun";
  run.num_epochs = 0;
  write_run(root, run);
  run.is_done = true;
  run.name = "c_no_metrics";
  write_run(root, run);
  run.name = "d_short";
  run.num_epochs = 1;
  write_run(root, run);
  write_text(write_run(root, xtasc_run("e_config", 0.0)).config(), "[train]\nepoch = 3\n");
  write_text(write_run(root, xtasc_run("f_provenance", 0.0)).provenance(), "{");
  fs::remove(write_run(root, xtasc_run("g_gone", 0.0)).provenance());
  run.name = "h_gap";
  run.num_epochs = 1;
  test::append_metrics(write_run(root, run).metrics(), test::synthetic_epoch(3, false, 0.0));
  write_run(root, xtasc_run("i_whole", 0.0));
  SyntheticRun stopped = xtasc_run("j_max_steps", 0.0, {"train.max_steps=100"});
  stopped.num_epochs = 1;
  write_run(root, stopped);

  const run::LoadedRuns loaded = run::load_runs(std::vector<fs::path>{root, root / "i_whole", root});
  ASSERT_EQ(loaded.runs.size(), 2U);
  EXPECT_EQ(loaded.runs[0].folder, root / "i_whole");
  EXPECT_EQ(loaded.runs[1].folder, root / "j_max_steps");
  std::vector<std::string> reasons;
  for (const run::LeftOutRun& left_out : loaded.left_out) {
    reasons.push_back(left_out.folder.filename().string() + ": " + left_out.reason);
  }
  EXPECT_THAT(reasons,
              ElementsAre("a_not_done: not finished: 2 of 3 epochs", "b_not_begun: not finished: 0 of 3 epochs",
                          "c_no_metrics: DONE, but metrics.jsonl holds no epoch",
                          "d_short: DONE, but metrics.jsonl ends at epoch 1 of 3",
                          HasSubstr("did you mean \"epochs\"?"), HasSubstr("provenance.json: not JSON at byte 2"),
                          HasSubstr("No such file or directory"), "h_gap: metrics.jsonl lacks epoch 2"));
  EXPECT_THROW(static_cast<void>(load(root / "none")), Error);
}

TEST(Csv, QuotesAsTheRfcSays) {
  EXPECT_EQ(csv_field("plain text"), "plain text");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"a\""), "\"say \"\"a\"\"\"");
  EXPECT_EQ(csv_field("two\nlines"), "\"two\nlines\"");
}

}  // namespace

}  // namespace xtasc::report
