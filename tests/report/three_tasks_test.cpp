// Tables of runs with surface normals, and of runs with two tasks and with three on one pack.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.hpp"
#include "report/aggregate.hpp"
#include "report/axes_sheet.hpp"
#include "report/latex_check.hpp"
#include "report/metric_columns.hpp"
#include "report/plot/figures.hpp"
#include "report/results_fixture.hpp"
#include "report/table.hpp"
#include "report/table_csv.hpp"
#include "report/table_markdown.hpp"
#include "run/run_summary.hpp"

namespace xtasc::report {
namespace {

using test::TempFolder;
using testing::HasSubstr;

const std::string kThree = "model.tasks=[\"segmentation\",\"depth\",\"normals\"]";

class TablesOfThree : public testing::Test {
 protected:
  void write(const std::string& name, const std::vector<std::string>& settings, double quality = 0.0) {
    test::write_run(folder.path(), {.name = name, .settings = settings, .quality = quality});
  }
  Table table() {
    const std::vector<std::filesystem::path> roots = {folder.path()};
    runs = run::load_runs(roots);
    EXPECT_TRUE(runs.left_out.empty());
    const std::array protocols = {Protocol::paper};
    auto tables = make_tables(runs.runs, protocols, Checkpoint::best);
    EXPECT_EQ(tables.size(), 1U);
    return tables.front();
  }
  static const Row& row_of(const Table& table, const std::string& model) {
    const auto found = std::ranges::find(table.rows, model, &Row::model);
    EXPECT_NE(found, table.rows.end()) << model;
    return *found;
  }

  static std::vector<Table> tables_of(const Table& table) { return {table}; }

  TempFolder folder;
  run::LoadedRuns runs;
};

TEST_F(TablesOfThree, DeltaMIsOverNineMetricsAndARowOfThreeNets) {
  write("seg", {"model.system=base_st_seg"});
  write("depth", {"model.system=base_st_depth"});
  write("normals", {"model.system=base_st", "model.tasks=[\"normals\"]"});
  write("xtasc", {"model.system=xtasc", kThree}, 0.05);
  const Table found = table();
  ASSERT_EQ(found.rows.size(), 2U);
  EXPECT_EQ(found.rows[0].runs.size(), 3U);
  EXPECT_EQ(found.rows[0].model, "Base ST-Net");
  const Row& xtasc = row_of(found, "XTasC-Net");
  ASSERT_TRUE(xtasc.delta_m);
  // Of synthetic_epoch(): 0.05 of 0.3, 0.6, 0.64, 0.24; of normals 0.05 of 0.5 each.
  const double expected = (0.05 / 0.3 + 0.05 / 0.6 + 0.05 / 0.64 + 0.05 / 0.24 + 5 * 0.05 / 0.5) / 9.0;
  EXPECT_NEAR(*xtasc.delta_m, 100.0 * expected, 1e-9);
  EXPECT_EQ(num_in_delta_m(tasks_of(found)), 9U);
  const std::string text = to_markdown("t", tables_of(found), {});
  for (const char* header : {"Mean angle (degrees)", "Median angle (degrees)", "Within 11.25 (%)", "Within 30 (%)"}) {
    EXPECT_THAT(text, HasSubstr(header));
  }
  EXPECT_THAT(to_csv(tables_of(found)), HasSubstr("angle_median"));
}

TEST_F(TablesOfThree, ATableOfTwoTasksWantsNoThirdNet) {
  write("seg", {"model.system=base_st_seg"});
  write("depth", {"model.system=base_st_depth"});
  write("xtasc", {"model.system=xtasc"}, 0.05);
  const Table found = table();
  ASSERT_EQ(found.rows.size(), 2U);
  EXPECT_TRUE(found.footnotes.empty());
  EXPECT_TRUE(found.rows[1].delta_m);
  EXPECT_THAT(to_markdown("t", tables_of(found), {}), testing::Not(HasSubstr("angle")));
}

TEST_F(TablesOfThree, NetsOfTwoTasksAreSetAgainstThoseTheyHave) {
  write("seg", {"model.system=base_st_seg"});
  write("depth", {"model.system=base_st_depth"});
  write("normals", {"model.system=base_st", "model.tasks=[\"normals\"]"});
  write("three", {"model.system=xtasc", kThree}, 0.02);
  write("two", {"model.system=xtasc"}, 0.05);
  const Table found = table();
  ASSERT_EQ(found.rows.size(), 3U);
  const Row& two = row_of(found, "XTasC-Net (segmentation, depth)");
  ASSERT_TRUE(two.delta_m);
  EXPECT_NEAR(*two.delta_m, 100.0 * (0.05 / 0.3 + 0.05 / 0.6 + 0.05 / 0.64 + 0.05 / 0.24) / 4.0, 1e-9);
  EXPECT_TRUE(row_of(found, "XTasC-Net (segmentation, depth, normals)").delta_m);
}

TEST_F(TablesOfThree, NetsStandBesideThoseThatKeptTheSameLabels) {
  for (const char* share : {"1.0", "0.5"}) {
    const std::string label_share = fmt::format("data.label_share={}", share);
    const double quality = *share == '1' ? 0.1 : 0.0;
    write(fmt::format("seg {}", share), {"model.system=base_st_seg", label_share}, quality);
    write(fmt::format("depth {}", share), {"model.system=base_st_depth", label_share}, quality);
    write(fmt::format("xtasc {}", share), {"model.system=xtasc", label_share}, quality);
  }
  const Table found = table();
  ASSERT_EQ(found.rows.size(), 4U);
  EXPECT_TRUE(found.footnotes.empty());
  for (const Row& row : found.rows) {
    ASSERT_TRUE(row.delta_m) << row.model;
    EXPECT_NEAR(*row.delta_m, 0.0, 1e-12);  // of equal nets, where the others would give 10 % and more
  }
}

TEST_F(TablesOfThree, EveryFormHasTheWeightOfTheThirdTask) {
  write("two", {"model.system=xtasc"});
  write("three", {"model.system=xtasc", kThree, "loss.lambda_3=0.25"}, 0.05);
  const Table found = table();
  const std::string csv = to_csv(tables_of(found));
  EXPECT_THAT(csv, HasSubstr(",num_parameters,lambda_3,"));
  EXPECT_THAT(csv, HasSubstr(",21445184,0.25,"));
  EXPECT_THAT(csv, HasSubstr(",21445184,0,")) << "a net of two has no third";
  EXPECT_THAT(to_markdown("t", tables_of(found), {}), HasSubstr("lambda_3"));
  const std::vector<SeedGroup> groups = aggregate(found);
  const std::vector<Sheet> sheets = {
      axes_sheet(groups, {axis_column("loss.lambda_3")}, Protocol::paper, Checkpoint::best)};
  EXPECT_THAT(to_latex(sheets), HasSubstr("$\\lambda_3$"));
}

TEST_F(TablesOfThree, EveryFormSaysWhichSignItsDeltaMHas) {
  write("seg", {"model.system=base_st_seg"});
  write("depth", {"model.system=base_st_depth"});
  write("better", {"model.system=base_mt"}, 0.05);
  static_cast<void>(table());
  const std::array protocols = {Protocol::paper};
  const auto paper = make_tables(runs.runs, protocols, Checkpoint::best);
  const auto field = make_tables(runs.runs, protocols, Checkpoint::best, {.sign = DeltaSign::field});
  EXPECT_EQ(*row_of(field[0], "Base MT-Net").delta_m, -*row_of(paper[0], "Base MT-Net").delta_m);
  EXPECT_THAT(to_csv(paper), HasSubstr(",delta_m_percent,"));
  EXPECT_THAT(to_csv(field), HasSubstr(",delta_m_lower_is_better_percent,"));
  EXPECT_THAT(to_markdown("t", paper, {}), HasSubstr("Delta_m is eq. 17's: higher is better."));
  EXPECT_THAT(to_markdown("t", field, {}), HasSubstr("Delta_m (%), lower is better |"));
  EXPECT_THAT(to_markdown("t", field, {}),
              HasSubstr("Delta_m is eq. 17's with the other sign, the field's: lower is better."));
  const std::vector<SeedGroup> groups = aggregate(field[0]);
  const std::vector<Sheet> sheets = {axes_sheet(groups, model_columns(), Protocol::paper, Checkpoint::best)};
  EXPECT_THAT(to_csv(sheets), HasSubstr(",delta_m_lower_is_better,"));
  EXPECT_THAT(to_latex(sheets),
              HasSubstr("$\\Delta_m$ is eq. 17's with the other sign, the field's: lower is better."));
  const Plot plot = encoders_plot(groups, {}, Protocol::paper, Checkpoint::best);
  EXPECT_TRUE(std::ranges::any_of(plot.panels,
                                  [](const Panel& panel) { return panel.y_label == "\u0394m (%), lower is better"; }));
}

TEST_F(TablesOfThree, ATableOfThreeFitsAPage) {
  for (const int seed : {1, 2}) {
    const std::string of_seed = fmt::format("run.seed={}", seed);
    write(fmt::format("xtasc{}", seed), {of_seed, kThree}, 0.01 * seed);
    write(fmt::format("two{}", seed), {of_seed}, 0.01 * seed);
  }
  const std::vector<SeedGroup> groups = aggregate(table());
  std::vector<Sheet> sheets = {axes_sheet(groups, model_columns(), Protocol::paper, Checkpoint::best)};
  const std::string text = to_latex(sheets);
  EXPECT_THAT(text, HasSubstr("\\shortstack[r]{Median angle\\\\(degrees)}"));
  EXPECT_THAT(test::latex_faults(text), testing::IsEmpty()) << text;
  for (int i = 0; i < 10; ++i) {  // a p each, as a sweep's table has
    sheets[0].columns.push_back({.key = fmt::format("p{}", i), .header = "p Median angle"});
    for (SheetRow& row : sheets[0].rows) {
      row.cells.push_back(number_cell(0.0123, 4));
    }
  }
  const std::string wide = to_latex(sheets);
  EXPECT_THAT(wide, HasSubstr("\\usepackage{booktabs,adjustbox}"));
  EXPECT_THAT(wide, HasSubstr("\\begin{adjustbox}{max width=\\linewidth}\n\\begin{tabular}"));
  EXPECT_THAT(test::latex_faults(wide), testing::IsEmpty()) << wide;
}

TEST_F(TablesOfThree, SayWhichNetIsMissing) {
  write("seg", {"model.system=base_st_seg"});
  write("depth", {"model.system=base_st_depth"});
  write("three", {"model.system=base_mt", kThree});
  const Table found = table();
  EXPECT_THAT(
      found.footnotes,
      testing::Contains(HasSubstr("no finished Base ST-Net (base_st_seg, base_st_depth and base_st (normals))")));
  EXPECT_FALSE(row_of(found, "Base MT-Net").delta_m);
}

}  // namespace
}  // namespace xtasc::report
