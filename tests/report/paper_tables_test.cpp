#include "report/paper/paper_tables.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/latex_check.hpp"
#include "report/paper/paper_match.hpp"
#include "report/paper/paper_sheet.hpp"
#include "report/results_fixture.hpp"

namespace xtasc::report {

namespace {

namespace fs = std::filesystem;
using test::SyntheticRun;
using test::TempFolder;
using test::write_run;
using test::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const PublishedTable& table(const std::vector<PublishedTable>& all, const std::string& number) {
  return *std::ranges::find(all, number, &PublishedTable::number);
}

const std::vector<std::string> kNyuv2 = {
    "loss.lambda_1=0.0001",   "loss.lambda_2=0.0001", "weighting.method=uncertainty",
    "model.encoder=resnet34", "train.epochs=100",     "train.batch_size=6",
    "train.lr_step=60"};

/// A run on NYUv2 with the paper's settings, unless `more` changes them.
SyntheticRun nyuv2_run(const std::string& name, int seed, double quality, const std::vector<std::string>& more = {}) {
  SyntheticRun run{.name = fmt::format("{}_{}", name, seed), .settings = kNyuv2, .quality = quality};
  run.settings.insert(run.settings.end(), more.begin(), more.end());
  run.settings.push_back(fmt::format("run.seed={}", seed));
  run.num_epochs = 100;
  for (const std::string& setting : more) {
    if (setting.starts_with("train.epochs=")) {
      run.num_epochs = std::stoi(setting.substr(13));
    }
  }
  run.dataset = "nyuv2";
  run.height = 288;
  run.width = 384;
  run.num_classes = 13;
  return run;
}

struct Groups {
  run::LoadedRuns loaded;
  std::vector<SeedGroup> groups;
};

Groups groups_in(const fs::path& root) {
  Groups result{.loaded = run::load_runs(std::vector<fs::path>{root}), .groups = {}};
  const std::vector<Protocol> protocols = {Protocol::paper};
  for (const Table& of_pack : make_tables(result.loaded.runs, protocols, Checkpoint::best)) {
    std::ranges::move(aggregate(of_pack), std::back_inserter(result.groups));
  }
  return result;
}

Sheet sheet_of(const std::string& number, const std::vector<SeedGroup>& groups,
               PaperSettings settings = PaperSettings::as_printed) {
  const auto all = published_tables();
  const PublishedTable& of = table(all, number);
  return paper_sheet(of, all, match_paper(of, groups, settings), Protocol::paper, Checkpoint::best);
}

std::vector<std::string> column(const Sheet& sheet, const std::string& key) {
  const auto index = static_cast<std::size_t>(
      std::distance(sheet.columns.begin(), std::ranges::find(sheet.columns, key, &Column::key)));
  std::vector<std::string> texts;
  for (const SheetRow& row : sheet.rows) {
    texts.push_back(row.cells.at(index).text);
  }
  return texts;
}

/// Table III's four models; three seeds of them, but Align-Net.
void write_table_III(const fs::path& root) {
  for (const int seed : {1, 2, 3}) {
    const double luck = 0.002 * seed;
    write_run(root, nyuv2_run("seg", seed, luck, {"model.system=base_st_seg"}));
    write_run(root, nyuv2_run("depth", seed, luck, {"model.system=base_st_depth"}));
    write_run(root, nyuv2_run("base_mt", seed, 0.01 + luck, {"model.system=base_mt"}));
    write_run(root, nyuv2_run("xtasc", seed, 0.03 + luck));
  }
}

TEST(PublishedTables, AreThoseBuiltIn) {
  const auto built_in = published_tables();
  const auto from_file = published_tables(fs::path(XTASC_SOURCE_DIR) / "results/paper_tables.toml");
  ASSERT_EQ(built_in.size(), 8U);
  ASSERT_EQ(from_file.size(), 8U);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(built_in[i].number, from_file[i].number);
    EXPECT_EQ(built_in[i].rows.size(), from_file[i].rows.size());
  }
  EXPECT_EQ(table(built_in, "VI").rows[2].metrics.at("miou"), 44.75);
  EXPECT_TRUE(table(built_in, "VI").rows[2].is_pretrained);
}

TEST(PublishedTables, RefuseWhatIsNotOne) {
  const TempFolder folder;
  const auto message = [&folder](const std::string& text) {
    write_text(folder.path() / "p.toml", text);
    try {
      static_cast<void>(published_tables(folder.path() / "p.toml"));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const std::string good =
      "[table_I]\ntitle = \"T\"\nrows = [{model = \"XTasC-Net\", miou = 1, pix_acc = 2.0, abs_err = "
      "3.0, rel_err = 4.0}]\n";
  EXPECT_EQ(message(good), "accepted");
  EXPECT_THAT(message("[table_IX]\n"), HasSubstr("unknown table [table_IX]; known are table_I"));
  EXPECT_THAT(message("[table_I]\n"), HasSubstr("[table_I]: needs `rows`"));
  EXPECT_THAT(message("[table_I]\nrows = [1]\n"), HasSubstr("row 1: must be a table"));
  EXPECT_THAT(message("[table_I]\nrows = [{model = \"A\"}]\n"),
              HasSubstr("row 1: miou must be a number, found nothing"));
  EXPECT_THAT(message("[table_I]\nrows = [{model = \"A\", miou = \"1\"}]\n"),
              HasSubstr("miou must be a number, found the string \"1\""));
  EXPECT_THAT(message("[table_I]\nrows = [{modl = \"A\"}]\n"), HasSubstr("unknown key \"modl\""));
  EXPECT_THAT(message("[table_V]\nrows = [{miou = 1.0}]\n"), HasSubstr("encoder is missing"));
  EXPECT_THAT(message("[table_I"), HasSubstr("p.toml:1:"));
  EXPECT_THROW(static_cast<void>(published_tables(folder.path() / "none.toml")), Error);
}

TEST(PublishedTables, EveryMisprintIsFound) {
  const auto all = published_tables();
  std::vector<std::string> found;
  for (const PublishedTable& of : all) {
    for (const PublishedRow& row : of.rows) {
      for (const Misprint& misprint : misprints(of, row, all)) {
        found.push_back(fmt::format("{} {} {} {}", of.number, row.model, row.weighting, misprint.metric));
      }
    }
  }
  EXPECT_THAT(found, ElementsAre("I Base MT-Net  delta_m", "I Align-Net  delta_m", "I XTasC-Net  delta_m",
                                 "II STAN  params", "II Dense uncertainty params", "II Cross-Stitch uncertainty params",
                                 "VII Base MT-Net equal delta_m", "VII Base MT-Net uncertainty delta_m",
                                 "VII XTasC-Net equal delta_m", "VII XTasC-Net uncertainty delta_m",
                                 "VII XTasC-Net gradnorm delta_m", "VIII Base MT-Net uncertainty pix_acc"));
  const PublishedTable& two = table(all, "II");
  EXPECT_THAT(misprints(two, two.rows[1], all)[0].text, HasSubstr("14.96 is 3.63 x 4.12"));
  const PublishedTable& eight = table(all, "VIII");
  EXPECT_THAT(misprints(eight, eight.rows[1], all)[0].text,
              HasSubstr("Table III prints 63.58 for the same net; with it eq. 17 gives the printed Delta_m of 3.82"));
}

TEST(PaperConfig, IsThatOfTheConfigsThatTrainIt) {
  const auto all = published_tables();
  const PublishedTable& three = table(all, "III");
  EXPECT_EQ(config::identity_text(paper_config(three, three.rows[3], "xtasc", {"data.pack=data/nyuv2.h5"})),
            config::identity_text(config::read_run_config(fs::path(XTASC_SOURCE_DIR) / "configs/nyuv2.toml")));
  const PublishedTable& one = table(all, "I");
  EXPECT_EQ(config::identity_text(paper_config(one, one.rows[3], "xtasc")),
            config::identity_text(config::run_config_of({"weighting.method=uncertainty"})))
      << "the defaults are Cityscapes'";
}

TEST(PaperTables, PrintAsTheGoldenText) {
  const TempFolder folder;
  write_table_III(folder.path());
  const Groups found = groups_in(folder.path());
  std::vector<Sheet> sheets;
  for (const PublishedTable& of : published_tables()) {
    sheets.push_back(sheet_of(of.number, found.groups));
  }
  test::expect_golden(to_markdown("The paper's tables", sheets, {}), folder.path(), "paper.md");
  test::expect_golden(to_csv(sheets), folder.path(), "paper.csv");
  test::expect_golden(to_latex(sheets), folder.path(), "paper.tex");
  EXPECT_THAT(test::latex_faults(to_latex(sheets)), IsEmpty());
}

/// With the settings of their rows, which are not those of the paper's own systems.
TEST(PaperTables, OtherAuthorsNetworksFillTheirRows) {
  const TempFolder folder;
  const PublishedTable four = table(published_tables(), "IV");
  const auto add = [&](const std::string& name, std::size_t row, std::vector<std::string> more) {
    std::vector<std::string> settings = settings_of(four, four.rows[row]);
    settings.insert(settings.end(), more.begin(), more.end());
    test::write_run(folder.path(), {.name = name,
                                    .settings = std::move(settings),
                                    .num_epochs = 200,
                                    .dataset = "nyuv2",
                                    .height = 288,
                                    .width = 384,
                                    .num_classes = 13});
  };
  add("stan_seg", 0, {"model.system=stan", "model.tasks=[\"segmentation\"]"});
  add("stan_depth", 0, {"model.system=stan", "model.tasks=[\"depth\"]"});
  add("mtan", 3, {"model.system=mtan"});
  add("pcgrad", 4, {"model.system=mtan"});
  const Groups found = groups_in(folder.path());
  EXPECT_THAT(column(sheet_of("IV", found.groups), "seeds"),
              ElementsAre("1", "missing", "missing", "1", "1", "missing", "missing", "missing"));
}

TEST(PaperTables, SayWhatEachRowDepartsFrom) {
  const TempFolder folder;
  const PublishedTable four = table(published_tables(), "IV");
  const auto add = [&](const char* system, std::size_t row) {
    std::vector<std::string> settings = settings_of(four, four.rows[row]);
    for (const char* more : {"train.epochs=4", "train.batch_size=4"}) {
      settings.emplace_back(more);
    }
    settings.push_back(fmt::format("model.system={}", system));
    test::write_run(folder.path(), {.name = system,
                                    .settings = std::move(settings),
                                    .num_epochs = 4,
                                    .dataset = "nyuv2",
                                    .height = 288,
                                    .width = 384,
                                    .num_classes = 13});
  };
  add("mtan", 3);
  add("xtasc", 7);
  const Sheet sheet = sheet_of("IV", groups_in(folder.path()).groups, PaperSettings::reduced);
  EXPECT_THAT(sheet.caption, HasSubstr("; train.batch_size 4 (paper: 2 or 6), train.epochs 4 (paper: 200 or 100)."));
  EXPECT_THAT(sheet.footnotes, ::testing::Contains("Missing: `xtasc-sweep run sweeps/table_IV.toml --only \"STAN\" "
                                                   "--only \"KD4MTL\"` makes it"));
}

TEST(PaperTables, FindTheirRowsByWhatTheRunsAre) {
  const TempFolder folder;
  write_table_III(folder.path());
  const Groups found = groups_in(folder.path());
  EXPECT_THAT(column(sheet_of("III", found.groups), "seeds"), ElementsAre("3", "3", "missing", "3"));
  EXPECT_THAT(column(sheet_of("I", found.groups), "seeds"), ElementsAre("missing", "missing", "missing", "missing"));
  EXPECT_THAT(column(sheet_of("VI", found.groups), "seeds"), ElementsAre("missing", "3", "missing", "missing"));
  EXPECT_THAT(column(sheet_of("VIII", found.groups), "seeds"), ElementsAre("missing", "3", "missing", "3", "missing"));
  EXPECT_EQ(column(sheet_of("IV", found.groups), "seeds").back(), "3");
  EXPECT_THAT(column(sheet_of("IV", found.groups), "seeds"),
              ElementsAre("missing", "missing", "missing", "missing", "missing", "missing", "missing", "3"));
  EXPECT_THAT(column(sheet_of("III", found.groups), "miou"),
              ElementsAre("30.40 +- 0.20", "31.40 +- 0.20", "-", "33.40 +- 0.20"));
  EXPECT_THAT(sheet_of("III", found.groups).footnotes,
              ElementsAre("Missing: `xtasc-sweep run sweeps/table_III.toml --only \"Align-Net\"` makes it"));
  EXPECT_THAT(sheet_of("III", found.groups).remarks, ElementsAre(HasSubstr("On a Slurm cluster `xtasc-sweep submit`")));
  EXPECT_THAT(sheet_of("VI", found.groups).remarks,
              ::testing::Contains(HasSubstr("All that is missing: `xtasc-sweep run sweeps/table_VI.toml` makes it")));
}

TEST(PaperTables, SayWhereSeedsAreMissing) {
  const TempFolder folder;
  write_table_III(folder.path());
  write_run(folder.path(), nyuv2_run("align", 2, 0.02, {"model.system=align"}));
  const Sheet sheet = sheet_of("III", groups_in(folder.path()).groups);
  EXPECT_THAT(column(sheet, "seeds"), ElementsAre("3", "3", "1", "3"));
  EXPECT_THAT(
      sheet.footnotes,
      ::testing::Contains("1 of 3 seeds: `xtasc-sweep run sweeps/table_III.toml --only \"Align-Net\"` makes what is "
                          "missing"));
}

TEST(PaperTables, ShowOtherEncodersAndPretrainedOnesInTheirOwnRows) {
  const TempFolder folder;
  for (const char* encoder : {"resnet18", "resnet101"}) {
    write_run(folder.path(), nyuv2_run(encoder, 1, 0.0, {std::string("model.encoder=") + encoder}));
  }
  write_run(folder.path(), nyuv2_run("pretrained", 1, 0.1, {"model.encoder_weights=resnet34.pth"}));
  write_run(folder.path(), nyuv2_run("bf16", 1, 0.2, {"run.precision=bf16", "model.encoder=resnet50"}));
  const Groups found = groups_in(folder.path());
  const Sheet sheet = sheet_of("VI", found.groups);
  EXPECT_THAT(column(sheet, "encoder"), ElementsAre("18", "34", "34 *", "50", "101"));
  EXPECT_THAT(column(sheet, "seeds"), ElementsAre("1", "missing", "1", "missing", "1"))
      << "rows of two precisions are not mixed";
  EXPECT_EQ(column(sheet, "miou_paper").back(), "-");
  EXPECT_THAT(sheet.remarks, ::testing::Contains(HasSubstr("1 finished net of these rows is not shown")));
}

TEST(PaperTables, LeaveOutRunsWithOtherSettingsUnlessAsked) {
  const TempFolder folder;
  const std::vector<std::string> reduced = {"train.epochs=8", "model.encoder=resnet18", "loss.lambda_1=0.01"};
  for (const char* system : {"xtasc", "base_mt", "base_st_seg", "base_st_depth"}) {
    std::vector<std::string> settings = reduced;
    settings.push_back(std::string("model.system=") + system);
    SyntheticRun run = nyuv2_run(system, 1, 0.0, settings);
    run.height = 96;
    run.width = 128;
    write_run(folder.path(), run);
  }
  write_run(folder.path(), nyuv2_run("other", 1, 0.0, {"train.epochs=8", "model.system=align"}));
  const Groups found = groups_in(folder.path());
  const Sheet strict = sheet_of("III", found.groups);
  EXPECT_THAT(column(strict, "seeds"), ElementsAre("missing", "missing", "missing", "missing"));
  EXPECT_THAT(strict.remarks, ::testing::Contains(HasSubstr("4 finished nets of these rows are not shown")));
  const Sheet sheet = sheet_of("III", found.groups, PaperSettings::reduced);
  EXPECT_THAT(column(sheet, "seeds"), ElementsAre("1", "1", "missing", "1")) << "lambda is nothing to Base MT-Net";
  EXPECT_THAT(sheet.caption, HasSubstr("Ours: nyuv2, 96 x 128, 13 classes"));
  EXPECT_THAT(sheet.caption, HasSubstr("96 x 128 pixels (paper: 288 x 384), loss.lambda_1 0.01 (paper: 0.0001), "
                                       "model.encoder resnet18 (paper: resnet34), train.epochs 8 (paper: 100)."));
}

TEST(PaperTables, SayWhereDeltaComesFrom) {
  const TempFolder folder;
  write_run(folder.path(), nyuv2_run("xtasc", 1, 0.03));
  const Groups without = groups_in(folder.path());
  EXPECT_THAT(sheet_of("III", without.groups).footnotes,
              ElementsAre("Delta_m needs a finished Base ST-Net: `xtasc-sweep run sweeps/table_III.toml --only \"Base "
                          "ST-Net\"` makes it",
                          "Missing: `xtasc-sweep run sweeps/table_III.toml --only \"Base ST-Net\"` makes it",
                          HasSubstr("--only \"Base MT-Net\"`"), HasSubstr("--only \"Align-Net\"`")));
  write_run(folder.path(), nyuv2_run("seg", 2, 0.0, {"model.system=base_st_seg"}));
  write_run(folder.path(), nyuv2_run("depth", 2, 0.0, {"model.system=base_st_depth"}));
  const Groups with = groups_in(folder.path());
  EXPECT_THAT(sheet_of("III", with.groups).footnotes,
              ElementsAre(HasSubstr("Delta_m of the means"), HasSubstr("Base MT-Net"), HasSubstr("Align-Net")));
  EXPECT_NE(column(sheet_of("III", with.groups), "delta_m").back(), "-");
}

}  // namespace

}  // namespace xtasc::report
