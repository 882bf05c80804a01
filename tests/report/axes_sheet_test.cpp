#include "report/axes_sheet.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/latex_check.hpp"
#include "report/results_fixture.hpp"
#include "run/config_values.hpp"
#include "run/run_summary.hpp"

namespace xtasc::report {

namespace {

namespace fs = std::filesystem;
using test::TempFolder;
using test::write_run;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void write_seed(const fs::path& root, const std::string& name, int seed, double quality,
                std::vector<std::string> settings) {
  settings.push_back(fmt::format("run.seed={}", seed));
  write_run(root, {.name = fmt::format("{}_{}", name, seed), .settings = settings, .quality = quality});
}

Sheet sheet_of(const fs::path& root, const std::vector<std::string>& keys) {
  const run::LoadedRuns loaded = run::load_runs(std::vector<fs::path>{root});
  const std::vector<Protocol> protocols = {Protocol::paper};
  const Table table = make_tables(loaded.runs, protocols, Checkpoint::best).at(0);
  std::vector<LabelColumn> labels;
  for (const std::string& key : keys) {
    labels.push_back(axis_column(run::full_key(key)));
  }
  return axes_sheet(aggregate(table), labels.empty() ? model_columns() : labels, Protocol::paper, Checkpoint::best);
}

std::vector<std::string> column(const Sheet& sheet, std::size_t index) {
  std::vector<std::string> texts;
  for (const SheetRow& row : sheet.rows) {
    texts.push_back(row.cells[index].text);
  }
  return texts;
}

TEST(AxesSheet, SortsNumbersBySizeAndAveragesOverSeeds) {
  const TempFolder folder;
  for (const int seed : {1, 2}) {
    for (const char* lambda : {"0.1", "0.001", "0.01", "0"}) {
      write_seed(folder.path(), std::string("l") + lambda, seed, 0.01 * seed,
                 {std::string("loss.lambda_1=") + lambda, std::string("loss.lambda_2=") + lambda});
    }
  }
  const Sheet sheet = sheet_of(folder.path(), {"lambda_1"});
  EXPECT_THAT(column(sheet, 0), ElementsAre("0", "0.001", "0.01", "0.1"));
  // lambda_2 goes along with lambda_1: it needs no column of its own.
  EXPECT_EQ(sheet.columns[1].key, "seeds");
  EXPECT_THAT(column(sheet, 1), ElementsAre("2", "2", "2", "2"));
  EXPECT_EQ(sheet.rows[0].cells[3].text, "31.50 +- 0.71");
  const std::vector<Sheet> sheets = {sheet};
  EXPECT_THAT(test::latex_faults(to_latex(sheets)), IsEmpty());
}

TEST(AxesSheet, TellsRowsOfTheSameLabelsApart) {
  const TempFolder folder;
  write_seed(folder.path(), "a", 1, 0.0, {"loss.lambda_1=0.1", "train.learning_rate=1e-3"});
  write_seed(folder.path(), "b", 1, 0.0, {"loss.lambda_1=0.1"});
  write_seed(folder.path(), "c", 1, 0.0, {"loss.lambda_1=0.01", "model.ttnet_batch_norm=true"});
  const Sheet sheet = sheet_of(folder.path(), {"lambda_1"});
  EXPECT_EQ(sheet.columns[1].header, "learning_rate") << "and not ttnet_batch_norm, which no two rows need";
  EXPECT_EQ(sheet.columns[2].key, "seeds");
  EXPECT_THAT(column(sheet, 1), ElementsAre("0.0001", "0.0001", "0.001"));
}

TEST(AxesSheet, IsTheDefaultTableOverSeeds) {
  const TempFolder folder;
  for (const int seed : {1, 2, 3}) {
    write_seed(folder.path(), "seg", seed, 0.001 * seed, {"model.system=base_st_seg"});
    write_seed(folder.path(), "depth", seed, 0.001 * seed, {"model.system=base_st_depth"});
    write_seed(folder.path(), "xtasc", seed, 0.03 + 0.001 * seed, {"weighting.method=uncertainty"});
  }
  write_seed(folder.path(), "xtasc", 4, 0.034, {"weighting.method=uncertainty"});
  const Sheet sheet = sheet_of(folder.path(), {});
  test::expect_golden(to_markdown("Over seeds", std::vector<Sheet>{sheet}, {}), folder.path(), "seeds.md");
  test::expect_golden(to_csv(std::vector<Sheet>{sheet}), folder.path(), "seeds.csv");
  EXPECT_THAT(sheet.footnotes, ElementsAre(HasSubstr("Delta_m over 3 of 4 seeds")));
  EXPECT_TRUE(sheet.rows[1].cells[5].is_best);
  EXPECT_FALSE(sheet.rows[0].cells[5].is_best);
}

}  // namespace

}  // namespace xtasc::report
