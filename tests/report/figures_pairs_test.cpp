#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/plot/figures.hpp"
#include "report/results_fixture.hpp"

namespace xtasc::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kTasks = "model.tasks=[\"segmentation\",\"depth\",\"normals\"]";

class FigureOfPairs : public testing::Test {
 protected:
  void write(const std::string& name, int seed, double quality, std::vector<std::string> settings) {
    settings.push_back(fmt::format("run.seed={}", seed));
    test::write_run(folder.path(),
                    {.name = fmt::format("{}_{}", name, seed), .settings = settings, .quality = quality});
  }
  void write_pair(const std::string& pair, int seed, double quality, std::vector<std::string> settings = {}) {
    settings.insert(settings.end(), {kTasks, fmt::format("model.transfer_pairs=[\"{}\"]", pair)});
    write(fmt::format("{}{}", pair, settings.size()), seed, quality, settings);
  }
  void write_others(int seed, bool has_normals = true) {
    write("seg", seed, 0.0, {"model.system=base_st_seg"});
    write("depth", seed, 0.0, {"model.system=base_st_depth"});
    if (has_normals) {
      write("normals", seed, 0.0, {"model.system=base_st", "model.tasks=[\"normals\"]"});
    }
    write("mt", seed, 0.01, {"model.system=base_mt", kTasks});
  }
  Matrix matrix() {
    const std::vector<std::filesystem::path> roots = {folder.path()};
    const run::LoadedRuns loaded = run::load_runs(roots);
    const std::vector<Protocol> protocols = {Protocol::paper};
    return pairs_matrix(make_tables(loaded.runs, protocols, Checkpoint::best).at(0));
  }
  std::string error() {
    try {
      matrix();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  /// Delta_m of three tasks in percent points for each unit of quality, see synthetic_epoch().
  static constexpr double kPerQuality = 100.0 * (1 / 0.3 + 1 / 0.6 + 1 / 0.64 + 1 / 0.24 + 5 / 0.5) / 9.0;
  test::TempFolder folder;
};

TEST_F(FigureOfPairs, HasTheChangeAgainstNoTransferOverTheSeedsOfBoth) {
  for (const int seed : {1, 2}) {
    write_others(seed);
    write_pair("seg>depth", seed, 0.02 + 0.01 * seed);  // 0.02 and 0.03 better than without
    write_pair("normals>seg", seed, 0.0);
  }
  write_pair("seg>depth", 3, 0.9);  // there is no net without transfer of this seed
  write_pair("depth>normals", 1, 0.01);
  write("all", 1, 0.5, {kTasks});
  const Matrix found = matrix();
  EXPECT_THAT(found.names, ElementsAre("segmentation", "depth", "normals"));
  ASSERT_EQ(found.cells.size(), 3U);
  ASSERT_TRUE(found.cells[0][1].value);
  EXPECT_NEAR(*found.cells[0][1].value, 0.025 * kPerQuality, 1e-9);
  EXPECT_EQ(found.cells[0][1].text,
            fmt::format("+{:.2f}\n\u00b1 {:.2f}", 0.025 * kPerQuality, 0.01 * kPerQuality / std::sqrt(2.0)));
  EXPECT_NEAR(found.cells[2][0].value.value(), -0.01 * kPerQuality, 1e-9);
  EXPECT_THAT(found.cells[2][0].text, testing::StartsWith("-2.30\n"));
  EXPECT_EQ(found.cells[1][2].text, "+0.00") << "one seed has no deviation";
  EXPECT_FALSE(found.cells[1][0].value);
  EXPECT_EQ(found.cells[1][0].text, "-");
  EXPECT_THAT(found.subtitle, HasSubstr("mean of 1 to 2 seeds"));
  EXPECT_THAT(found.title, HasSubstr("XTasC-Net with one pair alone, against Base MT-Net"));
}

TEST_F(FigureOfPairs, SaysWhatIsNotThere) {
  write_others(1, false);
  EXPECT_THAT(error(), HasSubstr("no finished run has a single pair in model.transfer_pairs"));
  write_pair("seg>depth", 1, 0.02);
  EXPECT_THAT(error(), HasSubstr("no finished run of base_st (normals)"));
  write("normals", 2, 0.0, {"model.system=base_st", "model.tasks=[\"normals\"]"});
  EXPECT_THAT(error(), HasSubstr("No Delta_m: ")) << "of another seed: what the table says";
}

TEST_F(FigureOfPairs, WantsANetWithoutTransferThatIsAlike) {
  write_pair("seg>depth", 1, 0.02);
  write("two", 1, 0.0, {"model.system=base_mt"});
  EXPECT_THAT(error(), HasSubstr("no finished base_mt run of seg, depth, normals"));
  write("mt", 1, 0.0, {"model.system=base_mt", kTasks, "train.learning_rate=0.5"});
  EXPECT_THAT(error(), HasSubstr("mt_1 differs in train.learning_rate"));
}

TEST_F(FigureOfPairs, IsOfOneSetting) {
  write_others(1);
  write_pair("seg>depth", 1, 0.02);
  write_pair("depth>seg", 1, 0.02, {"model.system=align"});
  EXPECT_THAT(error(), HasSubstr("differ in model.system, and a figure is of nets alike but for pair and seed"));
}

TEST(GnuplotMatrix, PaintsChangesAroundZeroAndWritesWhatACellHolds) {
  const Matrix matrix{.title = "It's",
                      .subtitle = "",
                      .row_label = "from",
                      .column_label = "to",
                      .scale_label = "",
                      .names = {"a", "b"},
                      .cells = {{{}, {.value = -1.5, .text = "-1.50\n\u00b1 0.25"}}, {{}, {}}}};
  const std::string script = gnuplot_script(matrix, "name");
  EXPECT_THAT(script, HasSubstr("'It''s'"));
  EXPECT_THAT(script,
              HasSubstr("$painted << EOD\n1 0 -1.5\nEOD\n$empty << EOD\n0 1\nEOD\n$diagonal << EOD\n0 0\n1 1\n"));
  EXPECT_THAT(script, HasSubstr("set cbrange [-1.5:1.5]"));
  EXPECT_THAT(script, HasSubstr("\"-1.50\\n\u00b1 0.25\" at first 1.5,"));
}

}  // namespace
}  // namespace xtasc::report
