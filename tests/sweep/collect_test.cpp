#include "sweep/collect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/latex_check.hpp"
#include "report/paper/paper_match.hpp"
#include "report/results_fixture.hpp"
#include "report/statistics.hpp"
#include "run/config_values.hpp"
#include "sweep/folder.hpp"
#include "sweep/select.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

namespace {

namespace fs = std::filesystem;
using test::expect_golden;
using test::SyntheticRun;
using test::TempFolder;
using test::write_run;
using test::write_text;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::array<report::Protocol, 1> kPaper = {report::Protocol::paper};

/// A sweep of Base ST-Net, Base MT-Net and XTasC-Net over `seeds`, in `folder`.
Sweep make_sweep(const fs::path& folder, const std::string& seeds, const std::string& baseline = "Base ST-Net") {
  write_text(folder / "base.toml",
             fmt::format("[run]\noutput = \"{}\"\n[data]\npack = \"scenes.h5\"\n[model]\nencoder = "
                         "\"resnet18\"\n[train]\nepochs = 3\n",
                         (folder / "runs").string()));
  std::string text = fmt::format("title = \"Models\"\nbase = \"base.toml\"\nseeds = {}\n", seeds);
  text += baseline.empty() ? "" : fmt::format("baseline = \"{}\"\n", baseline);
  for (const auto& [name, system] : {std::pair("XTasC-Net", "xtasc"), std::pair("Base ST-Net", "base_st_seg"),
                                     std::pair("Base ST-Net", "base_st_depth"), std::pair("Base MT-Net", "base_mt")}) {
    text += fmt::format("[[point]]\nname = \"{}\"\nmodel.system = \"{}\"\n", name, system);
  }
  write_text(folder / "models.toml", text);
  return read_sweep(folder / "models.toml", {"data.pack_digest=" + SyntheticRun{}.pack_digest});
}

/// Writes the finished run of a plan; its quality depends on row and seed, not in step with the baseline's.
void finish(const Sweep& sweep, const PlannedRun& run) {
  const auto seed = static_cast<double>(run.config.run.seed);
  const double quality = run.row == "Base ST-Net"   ? 0.001 * seed
                         : run.row == "Base MT-Net" ? 0.001 * seed + 0.0005 * (run.config.run.seed % 2 == 0 ? 1 : -1)
                                                    : 0.03 + 0.002 * seed;
  SyntheticRun synthetic{.name = run.id, .settings = run.assignments, .quality = quality};
  synthetic.settings.push_back("run.output=" + sweep.folder.string());
  write_run(sweep.folder, synthetic);
}

std::vector<std::string> column(const report::Sheet& sheet, const std::string& key) {
  const auto index = static_cast<std::size_t>(
      std::distance(sheet.columns.begin(), std::ranges::find(sheet.columns, key, &report::Column::key)));
  std::vector<std::string> texts;
  for (const report::SheetRow& row : sheet.rows) {
    texts.push_back(row.cells.at(index).text);
  }
  return texts;
}

Collected collected(const Sweep& sweep) {
  return collect(sweep, statuses(sweep), kPaper, report::Checkpoint::best);
}

TEST(Collect, ShowsTheRowsInTheSweepsOrderWithATestAgainstTheBaseline) {
  const TempFolder folder;
  const Sweep sweep = make_sweep(folder.path(), "[1, 2, 3]");
  for (const PlannedRun& run : sweep.runs) {
    finish(sweep, run);
  }
  const Collected all = collected(sweep);
  EXPECT_EQ(all.num_done, 12U);
  EXPECT_THAT(all.left_out, IsEmpty());
  ASSERT_THAT(all.sheets, SizeIs(1));
  const report::Sheet& sheet = all.sheets[0];
  EXPECT_THAT(column(sheet, "row"), ElementsAre("XTasC-Net", "Base ST-Net", "Base MT-Net"));
  EXPECT_THAT(column(sheet, "seeds"), ElementsAre("3", "3", "3"));
  EXPECT_THAT(column(sheet, "pairs"), ElementsAre("3", "-", "3"));
  // Differences 0.031, 0.032, 0.033, for Base MT-Net -0.0005, 0.0005, -0.0005.
  const auto p = [](std::vector<double> differences) {
    const std::vector<double> zeros(differences.size(), 0.0);
    return report::p_text(report::paired_t_test(differences, zeros)->p);
  };
  EXPECT_THAT(column(sheet, "p_miou"), ElementsAre(p({0.031, 0.032, 0.033}), "-", p({-0.0005, 0.0005, -0.0005})));
  EXPECT_THAT(sheet.remarks, ElementsAre(HasSubstr("paired t-test against \"Base ST-Net\"")));
  expect_golden(report::to_markdown(sweep.title, all.sheets, all.left_out), folder.path(), "collect.md");
  EXPECT_THAT(test::latex_faults(report::to_latex(all.sheets)), IsEmpty());
}

TEST(Collect, ListsWhatIsNotDoneAndPairsOnlyWhatIs) {
  const TempFolder folder;
  const Sweep sweep = make_sweep(folder.path(), "[1, 2, 3]");
  for (const PlannedRun& run : sweep.runs) {
    const bool is_left_out = (run.row == "XTasC-Net" && run.config.run.seed == 2) ||
                             (run.config.model.system == "base_st_depth" && run.config.run.seed == 1);
    if (!is_left_out) {
      finish(sweep, run);
    }
  }
  const Collected all = collected(sweep);
  EXPECT_EQ(all.num_done, 10U);
  EXPECT_EQ(all.num_not_done, 2U);
  ASSERT_THAT(all.left_out, SizeIs(2));
  EXPECT_THAT(all.left_out[0].reason, HasSubstr("XTasC-Net, seed 2: waiting, epoch 0 of 3"));
  EXPECT_THAT(all.left_out[1].reason, HasSubstr("Base ST-Net, seed 1: waiting"));
  const report::Sheet& sheet = all.sheets.at(0);
  EXPECT_THAT(column(sheet, "row"), ElementsAre("XTasC-Net", "Base ST-Net", "Base ST-Net", "Base MT-Net"));
  EXPECT_THAT(column(sheet, "seeds"), ElementsAre("2", "2", "1", "3"));
  // XTasC-Net has the seeds 1 and 3, the baseline 2 and 3.
  EXPECT_EQ(column(sheet, "pairs").front(), "1");
  EXPECT_EQ(column(sheet, "p_miou").front(), "-");
  EXPECT_EQ(column(sheet, "pairs").back(), "2");
  EXPECT_THAT(sheet.footnotes, Contains(HasSubstr("Half of a Base ST-Net pair")));
}

TEST(Collect, ClaimsNothingFromOneSeed) {
  const TempFolder folder;
  const Sweep sweep = make_sweep(folder.path(), "[7]");
  for (const PlannedRun& run : sweep.runs) {
    finish(sweep, run);
  }
  const Collected all = collected(sweep);
  EXPECT_THAT(column(all.sheets.at(0), "p_miou"), ElementsAre("-", "-", "-"));
  EXPECT_THAT(all.sheets[0].remarks, ElementsAre(HasSubstr("Fewer than two such seeds: nothing can be said")));
}

TEST(Collect, SaysWhyThereIsNoTest) {
  const TempFolder folder;
  const Sweep without = make_sweep(folder.path(), "[1, 2]", "");
  for (const PlannedRun& run : without.runs) {
    if (run.row != "Base ST-Net") {
      finish(without, run);
    }
  }
  EXPECT_THAT(collected(without).sheets.at(0).remarks, ElementsAre(HasSubstr("names no `baseline`")));
  const Sweep with = make_sweep(folder.path(), "[1, 2]");
  EXPECT_THAT(collected(with).sheets.at(0).remarks,
              ElementsAre(HasSubstr("no run of the baseline row \"Base ST-Net\" is done")));
}

TEST(Collect, Mean10LeavesOutRunsOfFewEpochs) {
  const TempFolder folder;
  const Sweep sweep = make_sweep(folder.path(), "[1]");
  for (const PlannedRun& run : sweep.runs) {
    finish(sweep, run);
  }
  const Collected all = collect(sweep, statuses(sweep), kPaper, report::Checkpoint::mean10, {});
  EXPECT_EQ(all.num_done, 0U);
  EXPECT_EQ(all.num_not_done, 0U);
  EXPECT_EQ(all.num_too_short, sweep.runs.size());
  EXPECT_THAT(all.left_out.at(0).reason, HasSubstr("and this run has 3"));
}

TEST(Collect, ShowsTheSignThatIsAskedFor) {
  const TempFolder folder;
  const Sweep sweep = make_sweep(folder.path(), "[1, 2]");
  for (const PlannedRun& run : sweep.runs) {
    finish(sweep, run);
  }
  const Collected all = collect(sweep, statuses(sweep), kPaper, report::Checkpoint::best,
                                {.sign = report::DeltaSign::field, .mean_over = report::DeltaMean::metrics});
  EXPECT_THAT(column(all.sheets.at(0), "delta_m_lower_is_better").at(0), testing::StartsWith("-"));
  EXPECT_THAT(column(collected(sweep).sheets.at(0), "delta_m").at(0), testing::Not(testing::StartsWith("-")));
}

TEST(Collect, OfNothingIsNothing) {
  const TempFolder folder;
  const Sweep sweep = make_sweep(folder.path(), "[1]");
  const Collected none = collected(sweep);
  EXPECT_EQ(none.num_done, 0U);
  EXPECT_THAT(none.sheets, IsEmpty());
  EXPECT_THAT(none.left_out, SizeIs(4));
}

/// What a run's numbers depend on, but for the seed, where files lie, and the precision, of which the paper says
/// nothing.
run::ConfigValues compared(const config::RunConfig& config) {
  run::ConfigValues values = run::identity_values(config);
  for (const char* key :
       {"run.seed", "run.precision", "data.pack_digest", "data.label_set", "model.encoder_weights_digest"}) {
    values.erase(key);
  }
  return values;
}

bool has_run(const Sweep& sweep, const config::RunConfig& wanted, bool is_pretrained) {
  return std::ranges::any_of(sweep.runs, [&](const PlannedRun& run) {
    return compared(run.config) == compared(wanted) && run.config.model.encoder_weights.empty() != is_pretrained;
  });
}

TEST(PaperSweeps, MakeEveryRowThatThePapersTablesLookFor) {
  const auto tables = report::published_tables();
  int num_rows = 0;
  for (const report::PublishedTable& table : tables) {
    const Sweep sweep = read_sweep(fs::path(XTASC_SOURCE_DIR) / table.sweep);
    for (const report::PublishedRow& row : table.rows) {
      if (!report::is_ours(row)) {
        continue;
      }
      ++num_rows;
      const std::map<std::string, std::vector<std::string>> systems = {
          {"Base ST-Net", {"base_st_seg", "base_st_depth"}},
          {"Base MT-Net", {"base_mt"}},
          {"Align-Net", {"align"}},
          {"XTasC-Net", {"xtasc"}},
          {"STAN", {"stan"}},
          {"Dense", {"dense"}},
          {"Cross-Stitch", {"cross_stitch"}},
          {"MTAN", {"mtan"}},
          {"PCGrad", {"mtan"}},
          {"KD4MTL", {"kd4mtl"}},
          {"AdaMT-Net", {"adamt"}}};
      const auto wanted = [&](const std::string& system, const std::string& tasks) {
        return report::paper_config(table, row, system,
                                    tasks.empty() ? std::vector<std::string>() : std::vector{"model.tasks=" + tasks});
      };
      for (const std::string& system : systems.at(row.model)) {
        const bool is_pair = system == "stan";
        for (const std::string tasks : {is_pair ? "[\"segmentation\"]" : "", is_pair ? "[\"depth\"]" : ""}) {
          EXPECT_TRUE(has_run(sweep, wanted(system, tasks), row.is_pretrained))
              << table.sweep << ": " << row.model << " " << row.encoder << " " << row.weighting;
        }
      }
      // The command that a table names for the row when it is missing makes that row and nothing else.
      for (const PlannedRun* run : select(sweep, {report::sweep_row_of(table, row)})) {
        const auto system = run->config.model.system;
        EXPECT_TRUE(std::ranges::count(systems.at(row.model), system) == 1) << run->id;
        const std::string tasks =
            system == "stan" ? fmt::format("[\"{}\"]", run->config.model.tasks.front()) : std::string();
        EXPECT_EQ(compared(run->config), compared(wanted(system, tasks))) << run->id;
        EXPECT_EQ(run->config.model.encoder_weights.empty(), !row.is_pretrained) << run->id;
      }
    }
  }
  EXPECT_EQ(num_rows, 42);
}

}  // namespace

}  // namespace xtasc::sweep
