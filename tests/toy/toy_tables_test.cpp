#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"
#include "report/axes_sheet.hpp"
#include "report/delta_m.hpp"
#include "report/metric_columns.hpp"
#include "report/plot/figures.hpp"
#include "report/results_fixture.hpp"
#include "report/table_csv.hpp"
#include "report/table_markdown.hpp"
#include "sweep/collect.hpp"
#include "sweep/state.hpp"
#include "sweep/sweep.hpp"
#include "task/task.hpp"
#include "toy/toy_rows.hpp"

// Tables and figures of a third task, which they know by its row alone.
namespace xtasc::report {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;
using test::write_run;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<Table> tables_of(const run::LoadedRuns& loaded) {
  const std::vector<Protocol> protocols = {Protocol::paper};
  return make_tables(loaded.runs, protocols, Checkpoint::best);
}

run::LoadedRuns load(const fs::path& root) {
  return run::load_runs(std::vector<fs::path>{root});
}

void write_system(const fs::path& root, const std::string& system, double quality, int seed = 1) {
  write_run(root, {.name = fmt::format("{}_{}", system, seed),
                   .settings = {"model.system=" + system, fmt::format("run.seed={}", seed)},
                   .quality = quality});
}

/// A toy and the two halves that it is set against; a two-task net and its pair.
void write_all(const fs::path& root, int seed = 1) {
  const double luck = 0.001 * seed;
  for (const char* system : {"toy_st_scene", "toy_st_flow", "base_st_seg", "base_st_depth"}) {
    write_system(root, system, luck, seed);
  }
  write_system(root, "toy", 0.05 + luck, seed);
  write_system(root, "base_mt", 0.03 + luck, seed);
}

std::vector<std::string> headers(const Sheet& sheet) {
  std::vector<std::string> texts;
  std::ranges::transform(sheet.columns, std::back_inserter(texts), &Column::header);
  return texts;
}

const Row& row_of(const Table& table, const std::string& model) {
  const auto found = std::ranges::find(table.rows, model, &Row::model);
  EXPECT_NE(found, table.rows.end()) << model;
  return *found;
}

TEST(ToyTables, HaveTheColumnsOfTheTasksThatTheirRowsHave) {
  test::add_toy_rows();
  const TempFolder with;
  const TempFolder without;
  write_all(with.path());
  for (const char* system : {"base_st_seg", "base_st_depth", "base_mt"}) {
    write_system(without.path(), system, 0.0);
  }
  const run::LoadedRuns three = load(with.path());
  const run::LoadedRuns two = load(without.path());
  EXPECT_THAT(headers(to_sheet(tables_of(three).at(0))),
              ElementsAre("Model", "Encoder", "Weighting", "#P (1e7)", "mIoU (%)", "PixAcc (%)", "AbsErr (m)",
                          "RelErr (ratio)", "FlowErr (px)", "FlowNear (%)", "Delta_m (%)"));
  EXPECT_THAT(headers(to_sheet(tables_of(two).at(0))),
              ElementsAre("Model", "Encoder", "Weighting", "#P (1e7)", "mIoU (%)", "PixAcc (%)", "AbsErr (m)",
                          "RelErr (ratio)", "Delta_m (%)"));
  const std::string markdown = to_markdown("", tables_of(three), {});
  // 0.5 -+ 0.051: as the row says, three decimals of pixels, and a share in percent with one.
  EXPECT_THAT(markdown, HasSubstr(" 0.449 |         55.1 |"));
  EXPECT_THAT(to_csv(tables_of(three)),
              HasSubstr(",miou,pix_acc,abs_err,rel_err,flow_err,flow_near,rmse,irmse,log_irmse,sq_rel,delta_1,delta_2,"
                        "delta_3,flow_rmse,delta_m_percent,"));
  EXPECT_THAT(to_csv(tables_of(two)), Not(HasSubstr("flow")));
}

TEST(ToyTables, ASystemWithoutEncoderIsGivenNone) {
  test::add_toy_rows();
  const TempFolder folder;
  write_system(folder.path(), "toy", 0.0);
  write_system(folder.path(), "toy_st_flow", 0.0);
  const run::LoadedRuns loaded = load(folder.path());
  const Table table = tables_of(loaded).at(0);
  EXPECT_EQ(row_of(table, "Toy").encoder, "-");
  EXPECT_THAT(to_csv(tables_of(loaded)), Not(HasSubstr("resnet")));
  EXPECT_THAT(table.footnotes.at(row_of(table, "Toy ST-Net").footnote.value()),
              HasSubstr("no finished toy_st_scene run with 3 epochs and seed 1 on this pack"));
  EXPECT_EQ(config::run_config_of({"model.system=toy"}).run.name, "toy");
  EXPECT_EQ(config::run_config_of({"model.system=xtasc_of_three"}).run.name, "xtasc_of_three_resnet34");
}

TEST(ToyTables, CaptionsSayWhatTheProtocolDoesWithTheTasksThatThereAre) {
  test::add_toy_rows();
  const task::Tasks flow = {task::of_key("flow")};
  EXPECT_EQ(protocol_text(Protocol::paper, flow), "Errors by batch, then averaged over images.");
  EXPECT_EQ(protocol_text(Protocol::dataset, flow), "Errors over all pixels of the validation set.");
  EXPECT_EQ(protocol_text(Protocol::dataset, {task::of_key("seg")}),
            "mIoU and PixAcc over all pixels of the validation set.");
  const task::Tasks three = {task::of_key("seg"), task::of_key("depth"), task::of_key("flow")};
  EXPECT_EQ(protocol_text(Protocol::dataset, three), "mIoU, PixAcc and errors over all pixels of the validation set.");
  const task::Tasks all(task::all().begin(), task::all().end());
  EXPECT_EQ(protocol_text(Protocol::dataset, all),
            "mIoU, PixAcc, errors and angles over all pixels of the validation set.");
  EXPECT_EQ(protocol_text(Protocol::dataset, {task::of_key("normals")}),
            "Angles over all pixels of the validation set.");
  EXPECT_EQ(
      protocol_text(Protocol::paper, all),
      "mIoU and PixAcc by image, then averaged over images. Angles by batch: their median is a mean of the batches' "
      "medians.");
}

TEST(ToyTables, DeltaMIsTheMeanOverTheMetricsOfAllTasks) {
  test::add_toy_rows();
  const TempFolder folder;
  write_all(folder.path());
  const run::LoadedRuns loaded = load(folder.path());
  const Table table = tables_of(loaded).at(0);
  const Row& toy = row_of(table, "Toy");
  const Row& base = row_of(table, "Toy ST-Net");
  ASSERT_EQ(base.runs.size(), 2U);
  double sum = 0.0;
  for (const auto& [key, sign] : std::vector<std::pair<std::string, double>>{
           {"miou", 1}, {"pix_acc", 1}, {"abs_err", -1}, {"rel_err", -1}, {"flow_err", -1}, {"flow_near", 1}}) {
    sum += sign * (toy.metrics.at(key) / base.metrics.at(key) - 1.0);
  }
  ASSERT_TRUE(toy.delta_m.has_value());
  EXPECT_NEAR(*toy.delta_m, 100.0 * sum / 6.0, 1e-10);
  // A net of two tasks is set against the pair that has these two.
  const Row& two = row_of(table, "Base MT-Net");
  const task::Tasks tasks = {task::of_key("seg"), task::of_key("depth")};
  ASSERT_TRUE(two.delta_m.has_value());
  EXPECT_EQ(two.delta_m, delta_m(two.metrics, row_of(table, "Base ST-Net").metrics, tasks));
  for (const SeedGroup& group : aggregate(table)) {
    EXPECT_EQ(group.delta_m_of_means.has_value(), group.delta_m.has_value()) << group.model;
    if (group.model == "Toy") {
      EXPECT_NEAR(group.delta_m_of_means.value_or(0.0), *toy.delta_m, 1e-10);
    }
  }
}

TEST(ToyTables, ThreeSingleTaskNetsStandInOneRow) {
  test::add_toy_rows();
  const TempFolder folder;
  for (const char* part : {"toy_one_flow", "toy_one_seg", "toy_one_depth"}) {
    write_system(folder.path(), part, 0.0);
  }
  write_system(folder.path(), "toy", 0.05);
  const run::LoadedRuns loaded = load(folder.path());
  const Table table = tables_of(loaded).at(0);
  ASSERT_EQ(table.rows.size(), 2U);
  const Row& three = row_of(table, "Toy of one");
  std::vector<std::string> systems;
  std::ranges::transform(three.runs, std::back_inserter(systems),
                         [](const run::RunSummary* run) { return run->config.model.system; });
  EXPECT_THAT(systems, ElementsAre("toy_one_seg", "toy_one_depth", "toy_one_flow"));
  EXPECT_EQ(three.delta_m, 0.0);
  const Row& toy = row_of(table, "Toy");
  const task::Tasks tasks = {task::of_key("seg"), task::of_key("depth"), task::of_key("flow")};
  EXPECT_EQ(toy.delta_m, delta_m(toy.metrics, three.metrics, tasks));
  for (const SeedGroup& group : aggregate(table)) {
    EXPECT_EQ(group.is_baseline(), group.model == "Toy of one");
    EXPECT_TRUE(group.delta_m_of_means.has_value()) << group.model;
  }
}

/// Two of three parts are what a net of these two tasks is set against; a lone one says what it lacks for the tasks
/// that a table is about where nothing says otherwise.
TEST(ToyTables, PartsOfARowThatAreThereStandTogether) {
  test::add_toy_rows();
  const TempFolder two;
  const TempFolder one;
  for (const char* part : {"toy_one_seg", "toy_one_depth"}) {
    write_system(two.path(), part, 0.0);
  }
  write_system(two.path(), "base_mt", 0.03);
  write_system(one.path(), "toy_one_seg", 0.0);
  const run::LoadedRuns of_two = load(two.path());
  const Table table = tables_of(of_two).at(0);
  EXPECT_EQ(row_of(table, "Toy of one").runs.size(), 2U);
  EXPECT_TRUE(row_of(table, "Base MT-Net").delta_m.has_value());
  const run::LoadedRuns of_one = load(one.path());
  const Table lone = tables_of(of_one).at(0);
  EXPECT_EQ(lone.footnotes.at(lone.rows.at(0).footnote.value()),
            "Half of a Toy of one pair: no finished toy_one_depth run with 3 epochs and seed 1 on this pack");
}

TEST(ToyTables, ANetOfThreeTasksIsNotSetAgainstAPairOfTwo) {
  test::add_toy_rows();
  const TempFolder folder;
  for (const char* system : {"base_st_seg", "base_st_depth", "toy"}) {
    write_system(folder.path(), system, 0.0);
  }
  const run::LoadedRuns loaded = load(folder.path());
  const Table table = tables_of(loaded).at(0);
  const Row& toy = row_of(table, "Toy");
  EXPECT_FALSE(toy.delta_m);
  EXPECT_THAT(table.footnotes.at(toy.footnote.value()),
              HasSubstr("No Delta_m: no finished Base ST-Net (base_st_seg, base_st_depth and base_st (flow))"));
  EXPECT_FALSE(aggregate(table).back().delta_m_of_means);
}

TEST(ToyTables, AMetricThatIsMissingIsCountedAmongThoseOfTheTasks) {
  test::add_toy_rows();
  const TempFolder folder;
  write_all(folder.path());
  run::LoadedRuns loaded = load(folder.path());
  for (run::RunSummary& run : loaded.runs) {
    if (run.config.model.system == "toy") {
      run.best->paper.erase("flow_near");
    }
  }
  const Table table = tables_of(loaded).at(0);
  EXPECT_EQ(table.footnotes.at(row_of(table, "Toy").footnote.value()),
            "No Delta_m: one of the six metrics could not be measured here or for Toy ST-Net");
}

TEST(ToyTables, MeansOverSeedsAndTheBestByTheRowsDirection) {
  test::add_toy_rows();
  const TempFolder folder;
  for (const int seed : {1, 2}) {
    write_all(folder.path(), seed);
  }
  const run::LoadedRuns loaded = load(folder.path());
  const std::vector<SeedGroup> groups = aggregate(tables_of(loaded).at(0));
  const Sheet sheet = axes_sheet(groups, model_columns(), Protocol::paper, Checkpoint::best);
  for (const auto& [key, text] : {std::pair{"flow_err", "0.449 +- 0.001"}, {"flow_near", "55.2 +- 0.1"}}) {
    const auto column = static_cast<std::size_t>(
        std::distance(sheet.columns.begin(), std::ranges::find(sheet.columns, key, &Column::key)));
    ASSERT_LT(column, sheet.columns.size()) << key;
    for (const SheetRow& row : sheet.rows) {
      const bool is_toy = row.cells.front().text == "Toy";
      EXPECT_EQ(row.cells.at(column).is_best, is_toy) << key << " of " << row.cells.front().text;
      if (is_toy) {
        EXPECT_EQ(row.cells.at(column).text, text);
      }
    }
  }
  EXPECT_THAT(to_csv(std::vector<Sheet>{sheet}), HasSubstr(",flow_err,flow_err_sd,flow_near,flow_near_sd,delta_m,"));
}

TEST(ToyTables, FiguresHaveTheirPanels) {
  test::add_toy_rows();
  const TempFolder folder;
  write_all(folder.path());
  const run::LoadedRuns loaded = load(folder.path());
  const std::vector<SeedGroup> groups = aggregate(tables_of(loaded).at(0));
  const auto labels = [](const Plot& plot) {
    std::vector<std::string> texts;
    std::ranges::transform(plot.panels, std::back_inserter(texts), &Panel::y_label);
    return texts;
  };
  EXPECT_THAT(labels(curves_plot(groups, Protocol::paper)),
              ElementsAre("Segmentation loss", "mIoU (%), higher is better", "PixAcc (%), higher is better",
                          "Depth loss", "AbsErr (m), lower is better", "RelErr (ratio), lower is better", "Flow loss",
                          "FlowErr (px), lower is better", "FlowNear (%), higher is better"));
  EXPECT_THAT(labels(encoders_plot(groups, {}, Protocol::paper, Checkpoint::best)),
              ElementsAre("mIoU (%), higher is better", "PixAcc (%), higher is better", "\u0394m (%), higher is better",
                          "AbsErr (m), lower is better", "RelErr (ratio), lower is better",
                          "FlowErr (px), lower is better", "FlowNear (%), higher is better"));
}

TEST(ToyTables, ASweepsRowsAreTestedByEveryMetric) {
  test::add_toy_rows();
  const TempFolder folder;
  test::write_text(folder.path() / "base.toml",
                   fmt::format("[run]\noutput = \"{}\"\n[data]\npack = \"scenes.h5\"\n[model]\nencoder = "
                               "\"resnet18\"\n[train]\nepochs = 3\n",
                               (folder.path() / "runs").string()));
  std::string text = "title = \"Toys\"\nbase = \"base.toml\"\nseeds = [1, 2, 3]\nbaseline = \"Halves\"\n";
  for (const auto& [row, system] : {std::pair{"Halves", "toy_st_scene"}, {"Halves", "toy_st_flow"}, {"Whole", "toy"}}) {
    text += fmt::format("[[point]]\nname = \"{}\"\nmodel.system = \"{}\"\n", row, system);
  }
  test::write_text(folder.path() / "toys.toml", text);
  const sweep::Sweep sweep =
      sweep::read_sweep(folder.path() / "toys.toml", {"data.pack_digest=" + test::SyntheticRun{}.pack_digest});
  for (const sweep::PlannedRun& run : sweep.runs) {
    const double seed = static_cast<double>(run.config.run.seed);
    test::SyntheticRun synthetic{.name = run.id,
                                 .settings = run.assignments,
                                 .quality = run.row == "Whole" ? 0.03 + 0.002 * seed : 0.001 * seed};
    synthetic.settings.push_back("run.output=" + sweep.folder.string());
    write_run(sweep.folder, synthetic);
  }
  const std::vector<Protocol> protocols = {Protocol::paper};
  const sweep::Collected all = sweep::collect(sweep, sweep::statuses(sweep), protocols, Checkpoint::best);
  ASSERT_EQ(all.sheets.size(), 1U);
  const std::vector<std::string> found = headers(all.sheets.front());
  ASSERT_GE(found.size(), 8U);
  EXPECT_THAT(
      std::vector(found.end() - 8, found.end()),
      ElementsAre("Pairs", "p mIoU", "p PixAcc", "p AbsErr", "p RelErr", "p FlowErr", "p FlowNear", "p Delta_m"));
  // Differences 0.031, 0.032, 0.033 of every metric.
  const std::string p = p_text(paired_t_test(std::vector{0.031, 0.032, 0.033}, std::vector{0.0, 0.0, 0.0})->p);
  const SheetRow& whole = all.sheets.front().rows.back();
  EXPECT_EQ(whole.cells.front().text, "Whole");
  EXPECT_EQ(whole.cells.at(found.size() - 8).text, "3");
  for (std::size_t i = found.size() - 7; i + 1 < found.size(); ++i) {
    EXPECT_EQ(whole.cells.at(i).text, p) << found[i];
  }
}

TEST(ToyTables, ARunWhoseFlowBecameNoNumberIsInNone) {
  test::add_toy_rows();
  const TempFolder folder;
  write_system(folder.path(), "toy", 0.0);
  const fs::path metrics = folder.path() / "toy_1/metrics.jsonl";
  std::string lines;
  for (run::EpochRecord record : run::read_metrics(metrics)) {
    if (record.epoch == 3) {
      record.paper.erase("flow_err");
    }
    lines += run::to_json_line(record) + '\n';
  }
  test::write_text(metrics, lines);
  const run::LoadedRuns loaded = load(folder.path());
  EXPECT_TRUE(loaded.runs.empty());
  ASSERT_EQ(loaded.left_out.size(), 1U);
  EXPECT_EQ(loaded.left_out.front().reason, "diverged: flow_err (paper protocol) of epoch 3 is not a finite number");
}

}  // namespace
}  // namespace xtasc::report
