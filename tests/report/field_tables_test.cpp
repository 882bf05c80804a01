// The field's published tables: that their figures were copied right, and what stands beside them.
#include "report/field/field_tables.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/field/field_sheet.hpp"
#include "report/latex_check.hpp"
#include "report/results_fixture.hpp"

namespace xtasc::report {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;
using test::write_text;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(FieldTables, PrintedDeltaMFollowsFromThePrintedFigures) {
  // Row, and what its figures give.
  const std::map<std::string, double> known = {{"nyuv2_mtan_3 IMTL-G", -0.60},
                                               {"nyuv2_mtan_3 GradVac", 5.76},  // over the base of another paper
                                               {"nyuv2_cagrad_3 CAGrad (c = 0.6) (Uncert. Weights)", -1.79},
                                               // AbsErr of four digits, padded to five.
                                               {"cityscapes_dbmtl_resnet50_2 GLS", -0.46},
                                               {"cityscapes_dbmtl_resnet50_2 MGDA", -0.28},
                                               {"cityscapes_dbmtl_resnet50_2 IMTL-G", -0.41},
                                               {"cityscapes_dbmtl_resnet50_2 MTAdam", -2.64},
                                               {"cityscapes_dbmtl_resnet50_2 MetaBalance", -1.14},
                                               {"cityscapes_dbmtl_resnet50_2 Aligned-MTL", -0.35},
                                               {"cityscapes_dbmtl_resnet50_2 IMTL", -0.26},
                                               {"cityscapes_dbmtl_resnet50_2 DB-MTL", 0.12}};
  int num_recomputed = 0;
  std::set<std::string> unexplained;
  for (const FieldTable& table : field_tables()) {
    for (const FieldRow& row : table.rows) {
      const std::string name = table.id + " " + row.method;
      ASSERT_EQ(row.delta_m.has_value() && !table.delta, false) << name;
      if (!row.delta_m) {
        continue;
      }
      const std::optional<double> recomputed = delta_m_over_base(table, figures_of(table, row));
      ASSERT_TRUE(recomputed) << name;
      ++num_recomputed;
      if (unexplained_delta_m(table, row)) {
        unexplained.insert(name);
        ASSERT_TRUE(known.contains(name)) << name << " " << *recomputed;
        EXPECT_NEAR(*recomputed, known.at(name), 0.005) << name;
        EXPECT_LT(std::abs(row.delta_m->value - *recomputed), 0.35) << name;
      }
    }
  }
  EXPECT_EQ(num_recomputed, 148);
  EXPECT_EQ(unexplained.size(), known.size());
}

TEST(FieldTables, RoundingExplainsLittle) {
  const std::vector<FieldTable> tables = field_tables();
  const FieldTable& table = field_table(tables, "nyuv2_mtan_3");
  FieldRow row = table.rows[1];
  ASSERT_FALSE(unexplained_delta_m(table, row));
  row.delta_m->value += 0.05;
  EXPECT_TRUE(unexplained_delta_m(table, row)) << "a digit more of Delta_m";
  row = table.rows[1];
  row.values[0].value += 1.0;
  EXPECT_TRUE(unexplained_delta_m(table, row)) << "a digit more of mIoU";
}

TEST(FieldTables, DeltaMHasTheSignAndTheMeanOfItsTable) {
  const std::vector<FieldTable> tables = field_tables();
  const FieldTable& field = field_table(tables, "nyuv2_mtan_3");
  const FieldTable& by_task = field_table(tables, "nyuv2_dbmtl_segnet_3");
  EXPECT_EQ(field.delta->form.sign, DeltaSign::field);
  EXPECT_EQ(by_task.delta->form.sign, DeltaSign::paper);
  EXPECT_EQ(by_task.delta->form.mean_over, DeltaMean::tasks);
  // The same figures of MGDA in both.
  EXPECT_NEAR(*delta_m_over_base(field, figures_of(field, field.rows[6])), 1.38, 0.01);
  EXPECT_NEAR(*delta_m_over_base(by_task, figures_of(by_task, by_task.rows[8])), -1.66, 0.01);
}

TEST(FieldTables, KeepTheDigitsOfTheirSources) {
  const std::vector<FieldTable> tables = field_tables();
  const FieldTable& table = field_table(tables, "nyuv2_mtan_3");
  EXPECT_EQ(table.rows[0].values[7].text, "57.20");
  EXPECT_EQ(table.rows[22].values[2].text, "0.72");
  EXPECT_EQ(field_table(tables, "cityscapes_dbmtl_resnet50_2").rows[2].values[2].text, "0.01280");
}

std::string message_of(const std::string& text) {
  const TempFolder folder;
  write_text(folder.path() / "f.toml", text);
  try {
    static_cast<void>(field_tables(folder.path() / "f.toml"));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "read";
}

TEST(FieldTables, FaultsOfAFileAreToldWithTheirPlace) {
  const std::string table =
      "[t]\ntitle = \"T\"\ndataset = \"nyuv2\"\ntasks = [\"seg\"]\nsize = [2, 3]\nmetrics = [\"miou\"]\n";
  EXPECT_EQ(message_of(table + "rows = [{ method = \"A\", values = [1.0] }]\n"), "read");
  EXPECT_THAT(message_of(table + "sed = 1\n"),
              HasSubstr("f.toml:7:1: [t]: unknown key \"sed\"; did you mean \"seeds\"?"));
  EXPECT_THAT(message_of(table + "rows = [{ method = \"A\", values = [1.0, 2.0] }]\n"),
              HasSubstr("f.toml:7:9: [t] row 1: values has 2 numbers, and 1 are wanted"));
  EXPECT_THAT(message_of(table + "rows = [{ method = \"A\", values = [1.0], delta_m = \"x\" }]\n"),
              HasSubstr("[t] row 1: delta_m must be a number, found the string \"x\""));
  EXPECT_THAT(message_of(table + "checkpoint = \"worst\"\n"),
              HasSubstr("checkpoint is \"worst\"; known are best, last, mean10"));
  EXPECT_THAT(message_of(table + "delta = { better = \"lower\", mean_over = \"tasks\", base = \"STL\" }\n"),
              HasSubstr("[t] delta: base is \"STL\", and no row has that method"));
  EXPECT_THAT(message_of("[t]\ntitle = 3\n"),
              HasSubstr("f.toml:2:9: [t]: title must be a string, found the integer 3"));
}

TEST(FieldTables, AnUnknownIdNamesTheNearest) {
  const std::vector<FieldTable> tables = field_tables();
  try {
    static_cast<void>(field_table(tables, "nyuv2_mtan_4"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "--field: there is no table \"nyuv2_mtan_4\"; did you mean \"nyuv2_mtan_3\"?");
  }
}

const std::string kThree = "model.tasks=[\"segmentation\",\"depth\",\"normals\"]";

class FieldSheet : public testing::Test {
 protected:
  void write(const std::string& name, std::vector<std::string> settings, double quality = 0.0,
             const std::string& dataset = "nyuv2") {
    settings.insert(settings.begin(), {"train.epochs=12", "train.batch_size=8"});
    const run::RunFolder run = test::write_run(
        folder.path(), {.name = name, .settings = settings, .quality = quality, .num_epochs = 12, .dataset = dataset});
  }
  Sheet sheet(const std::string& id, const std::optional<Protocol>& forced = {},
              Checkpoint checkpoint = Checkpoint::best) {
    loaded = run::load_runs(std::vector<fs::path>{folder.path()});
    EXPECT_THAT(loaded.left_out, IsEmpty());
    tables = field_tables();
    return field_sheet(field_table(tables, id), {.paper = nets(Protocol::paper), .dataset = nets(Protocol::dataset)},
                       checkpoint, forced);
  }
  std::vector<SeedGroup> nets(Protocol protocol) const {
    std::vector<SeedGroup> groups;
    const std::vector<Protocol> one = {protocol};
    for (const Table& table : make_tables(loaded.runs, one, Checkpoint::best)) {
      std::ranges::move(aggregate(table), std::back_inserter(groups));
    }
    return groups;
  }
  static const Cell& cell(const Sheet& sheet, const SheetRow& row, const std::string& key) {
    const auto column = std::ranges::find(sheet.columns, key, &Column::key);
    return row.cells.at(static_cast<std::size_t>(column - sheet.columns.begin()));
  }

  TempFolder folder;
  run::LoadedRuns loaded;
  std::vector<FieldTable> tables;
};

TEST_F(FieldSheet, HasOursBelowWhatIsPublished) {
  write("three", {kThree}, 0.01);
  write("other seed", {kThree, "run.seed=2"}, 0.03);
  write("scenes", {kThree, "run.seed=3"}, 0.0, "scenes");
  write("two", {});
  const Sheet found = sheet("nyuv2_mtan_3");
  ASSERT_EQ(found.rows.size(), 27U);
  EXPECT_EQ(found.rows[0].cells[0].text, "published");
  const SheetRow& ours = found.rows[26];
  EXPECT_TRUE(ours.starts_block);
  EXPECT_EQ(ours.cells[0].text, "ours");
  EXPECT_EQ(cell(found, ours, "network").text, "XTasC-Net (segmentation, depth, normals), resnet18");
  EXPECT_EQ(cell(found, ours, "seeds").text, "2");
  // Segmentation over the data set, depth by batch, as synthetic_epoch() has them.
  EXPECT_NEAR(*cell(found, ours, "miou").value, 27.0, 1e-9);
  EXPECT_NEAR(*cell(found, ours, "abs_err").value, 0.62, 1e-9);
  EXPECT_NEAR(*cell(found, ours, "angle_mean").value, 0.48, 1e-9);
  EXPECT_THAT(found.remarks, Contains(HasSubstr("2 finished nets are not shown")));
  const std::vector<Sheet> sheets = {found};
  EXPECT_THAT(test::latex_faults(to_latex(sheets)), IsEmpty());
  EXPECT_THAT(to_csv(sheets), HasSubstr(",delta_m_lower_is_better,delta_m_lower_is_better_sd,"));
}

TEST_F(FieldSheet, DeltaMOfOursIsOverThePublishedBaseByItsForm) {
  write("three", {kThree}, 0.01);
  const Sheet found = sheet("nyuv2_mtan_3", Protocol::paper);
  const FieldTable& table = field_table(tables, "nyuv2_mtan_3");
  const std::vector<double> ours = {31.0, 61.0, 0.63, 0.23, 0.49, 0.49, 51.0, 51.0, 51.0};
  double sum = 0.0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const bool is_lower_better = i >= 2 && i < 6;
    const double base = table.rows[0].values[i].value;
    sum += (is_lower_better ? 1.0 : -1.0) * (ours[i] / base - 1.0);
  }
  EXPECT_NEAR(*cell(found, found.rows.back(), "delta_m_lower_is_better").value, 100.0 * sum / 9.0, 1e-9);
  EXPECT_THAT(found.caption, HasSubstr("the field's: lower is better. Over the published row STL."));
}

TEST_F(FieldSheet, SaysInWhatOursDepartsAndNothingElse) {
  write("three", {kThree, "data.normalise=false", "train.lr_step=100"}, 0.01);
  const Sheet found = sheet("nyuv2_mtan_3", Protocol::paper);
  ASSERT_EQ(found.rows.back().cells[0].footnotes.size(), 1U);
  const std::string note = found.footnotes.at(found.rows.back().cells[0].footnotes[0]);
  EXPECT_EQ(note,
            "Not the published protocol: 64 x 128 pixels (published: 288 x 384 pixels); 7 classes (published: 13 "
            "classes); 12 epochs (published: 200 epochs); batch_size 8 (published: batch_size 2); betas [0.9, 0.99] "
            "(published: betas [0.9, 0.999]); checkpoint best (published: checkpoint "
            "mean10); 1 seed (published: 3 seeds); segmentation pooled by image (published: segmentation pooled over "
            "the data set)");
}

TEST_F(FieldSheet, ADepartureOfEachKindIsTold) {
  write("three", {kThree, "train.batch_size=4", "data.flip=false", "data.label_share=0.5", "train.weight_decay=0.1",
                  "train.learning_rate=0.001", "weighting.method=fairgrad", "weighting.alpha=1",
                  "train.betas=[0.5,0.6]", "loss.depth=MSE"});
  const Sheet found = sheet("nyuv2_mtan_3");
  const std::string note = found.footnotes.at(found.rows.back().cells[0].footnotes.at(0));
  for (const char* text :
       {"augmentation: scale crop 1, 1.2, 1.5 (published: augmentation: scale crop 1, 1.2, 1.5 and flip)",
        "images normalised (published: images between 0 and 1)", "data.label_share 0.5 (published: data.label_share 1)",
        "397 to 400 training images (published: 795 train", "weight_decay 0.1 (published: weight_decay 0)",
        "learning_rate 0.001 (published: learning_rate 0.0001)", "loss.depth MSE (published: loss.depth L1)",
        "betas [0.5, 0.6] (published: betas [0.9, 0.999])",
        "weighting.alpha 1 (published: the weighting's own settings)"}) {
    EXPECT_THAT(note, HasSubstr(text));
  }
  EXPECT_THAT(note, Not(HasSubstr("pooled"))) << "each task is pooled as the table does";
  EXPECT_THAT(sheet("nyuv2_mtan_3", {}, Checkpoint::mean10).footnotes.back(), Not(HasSubstr("checkpoint")));
}

TEST_F(FieldSheet, NothingStandsBesideATableThatCannotBeCompared) {
  write("three", {kThree});
  const Sheet found = sheet("nyud40_invpt_4");
  EXPECT_EQ(found.rows.size(), 3U);
  EXPECT_THAT(found.remarks, Contains(HasSubstr("nothing that this software trains")));
}

TEST_F(FieldSheet, CentimetresAreOfMetres) {
  write("three", {kThree}, 0.01);
  const Sheet found = sheet("nyuv2_autolambda_3");
  EXPECT_NEAR(*cell(found, found.rows.back(), "abs_err").value, 63.0, 1e-9);
}

}  // namespace
}  // namespace xtasc::report
