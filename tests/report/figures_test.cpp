#include "report/plot/figures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/results_fixture.hpp"

namespace xtasc::report {

namespace {

namespace fs = std::filesystem;
using test::read_text;
using test::TempFolder;
using test::write_run;
using test::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

struct Groups {
  run::LoadedRuns loaded;
  std::vector<SeedGroup> groups;
};

Groups groups_in(const fs::path& root) {
  Groups result{.loaded = run::load_runs(std::vector<fs::path>{root}), .groups = {}};
  const std::vector<Protocol> protocols = {Protocol::paper};
  result.groups = aggregate(make_tables(result.loaded.runs, protocols, Checkpoint::best).at(0));
  return result;
}

/// A run of a seed; on NYUv2 at the paper's size if asked.
void write_seed(const fs::path& root, const std::string& name, int seed, double quality,
                std::vector<std::string> settings, bool is_nyuv2 = false) {
  settings.push_back(fmt::format("run.seed={}", seed));
  test::SyntheticRun run{.name = fmt::format("{}_{}", name, seed), .settings = settings, .quality = quality};
  if (is_nyuv2) {
    run.dataset = "nyuv2";
    run.height = 288;
    run.width = 384;
    run.num_classes = 13;
  }
  write_run(root, run);
}

const Series& series(const Plot& plot, std::size_t panel, const std::string& name) {
  const auto& all = plot.panels.at(panel).series;
  const auto found = std::ranges::find(all, name, &Series::name);
  EXPECT_NE(found, all.end()) << name;
  return *found;
}

std::vector<std::string> legend(const Plot& plot) {
  std::vector<std::string> names;
  for (const Series& of : plot.panels.at(0).series) {
    if (!of.name.empty()) {
      names.push_back(of.name);
    }
  }
  return names;
}

void write_lambda_runs(const fs::path& root, bool is_nyuv2) {
  for (const int seed : {1, 2}) {
    write_seed(root, "seg", seed, 0.0, {"model.system=base_st_seg"}, is_nyuv2);
    write_seed(root, "depth", seed, 0.0, {"model.system=base_st_depth"}, is_nyuv2);
    write_seed(root, "mt", seed, 0.01, {"model.system=base_mt"}, is_nyuv2);
    for (const char* lambda : {"0", "0.001", "0.1"}) {
      write_seed(root, std::string("both") + lambda, seed, 0.02 + 0.001 * seed,
                 {std::string("loss.lambda_1=") + lambda, std::string("loss.lambda_2=") + lambda}, is_nyuv2);
    }
    write_seed(root, "first", seed, 0.03, {"loss.lambda_1=0.1", "loss.lambda_2=0"}, is_nyuv2);
    write_seed(root, "mixed", seed, 0.03, {"loss.lambda_1=0.1", "loss.lambda_2=0.2"}, is_nyuv2);
  }
}

TEST(Figures, LambdaHasASeriesForEachWayToChooseIt) {
  const TempFolder folder;
  write_lambda_runs(folder.path(), true);
  const Groups found = groups_in(folder.path());
  const Plot plot = lambda_plot(found.groups, published_tables(), Protocol::paper, Checkpoint::best);
  ASSERT_THAT(plot.panels, SizeIs(5));
  EXPECT_THAT(legend(plot), ElementsAre("Base ST-Net", "Base MT-Net", "XTasC-Net, \u03bb\u2081 = \u03bb\u2082",
                                        "XTasC-Net, \u03bb\u2081 alone", "Base MT-Net, published (Table III)",
                                        "XTasC-Net, published (Table III)"));
  const Series& both = series(plot, 0, "XTasC-Net, \u03bb\u2081 = \u03bb\u2082");
  ASSERT_THAT(both.points, SizeIs(3));
  EXPECT_NEAR(both.points[1].y, 32.15, 1e-9);
  EXPECT_NEAR(both.points[1].deviation.value(), 0.0707, 1e-3);
  EXPECT_THAT(series(plot, 0, "XTasC-Net, \u03bb\u2081 alone").points, SizeIs(2)) << "0 belongs to it too";
  EXPECT_EQ(series(plot, 0, "Base ST-Net").kind, SeriesKind::reference);
  const Series& published = series(plot, 0, "XTasC-Net, published (Table III)");
  EXPECT_EQ(published.points.at(0).x, 0.0001);
  EXPECT_EQ(published.points.at(0).y, 30.31);
  EXPECT_EQ(plot.panels[0].x_tics.front().text, "0");
  EXPECT_LT(plot.panels[0].x_tics.front().at, 0.001);
}

TEST(Figures, NetsAtOnePlaceOfTheAxisAreLeftOut) {
  const TempFolder folder;
  write_lambda_runs(folder.path(), true);
  const std::vector<std::string> before =
      legend(lambda_plot(groups_in(folder.path()).groups, published_tables(), Protocol::paper, Checkpoint::best));
  for (const char* encoder : {"resnet50", "resnet101", "resnet152"}) {
    for (const char* method : {"equal", "dwa", "rlw", "pcgrad"}) {
      write_seed(folder.path(), fmt::format("{}_{}", encoder, method), 1, 0.02,
                 {fmt::format("model.encoder={}", encoder), fmt::format("weighting.method={}", method)}, true);
    }
  }
  const Groups found = groups_in(folder.path());
  EXPECT_EQ(legend(lambda_plot(found.groups, published_tables(), Protocol::paper, Checkpoint::best)), before)
      << "more nets than can be told apart, each with one lambda";
}

TEST(Figures, PublishedPointsAreForThePapersDataOnly) {
  const TempFolder folder;
  write_lambda_runs(folder.path(), false);
  const Groups found = groups_in(folder.path());
  const Plot plot = lambda_plot(found.groups, published_tables(), Protocol::paper, Checkpoint::best);
  EXPECT_THAT(legend(plot), Not(::testing::Contains(HasSubstr("published"))));
}

TEST(Figures, LambdaRefusesRunsWithoutOne) {
  const TempFolder folder;
  write_seed(folder.path(), "mt", 1, 0.0, {"model.system=base_mt"});
  const Groups found = groups_in(folder.path());
  EXPECT_THROW(static_cast<void>(lambda_plot(found.groups, {}, Protocol::paper, Checkpoint::best)), Error);
}

TEST(Figures, EncodersStandInTheOrderOfTheirSize) {
  const TempFolder folder;
  for (const char* encoder : {"resnet152", "resnet18", "resnet50"}) {
    write_seed(folder.path(), encoder, 1, 0.01, {std::string("model.encoder=") + encoder}, true);
  }
  write_seed(folder.path(), "pre", 1, 0.1, {"model.encoder=resnet50", "model.encoder_weights=w.pth"}, true);
  const Groups found = groups_in(folder.path());
  const Plot plot = encoders_plot(found.groups, published_tables(), Protocol::paper, Checkpoint::best);
  ASSERT_THAT(plot.panels, SizeIs(4)) << "no Delta_m without a Base ST-Net";
  EXPECT_EQ(legend(plot)[0], "XTasC-Net");
  EXPECT_EQ(legend(plot)[1], "XTasC-Net, pretrained");
  EXPECT_THAT(series(plot, 0, "XTasC-Net").points, SizeIs(3));
  EXPECT_EQ(series(plot, 0, "XTasC-Net, pretrained, published (Table VI)").points.at(0).y, 44.75);
  std::vector<std::string> tics;
  for (const Tic& tic : plot.panels[0].x_tics) {
    tics.push_back(tic.text.substr(0, tic.text.find('\n')));
  }
  EXPECT_THAT(tics, ElementsAre("18", "34", "50", "152")) << "34 is the paper's";
}

TEST(Figures, LabelsStandFromAllOfThemToThoseOfOneTask) {
  const TempFolder folder;
  for (const int seed : {1, 2}) {
    for (const char* system : {"base_mt", "xtasc"}) {
      const std::string model = fmt::format("model.system={}", system);
      for (const char* share : {"0.1", "1.0", "0.5"}) {
        write_seed(folder.path(), fmt::format("{}{}", system, share), seed, 0.01 * seed,
                   {model, fmt::format("data.label_share={}", share)});
      }
      write_seed(folder.path(), fmt::format("{}one", system), seed, 0.05, {model, "data.one_label=true"});
    }
    write_seed(folder.path(), "align", seed, 0.0, {"model.system=align"});
  }
  const Groups found = groups_in(folder.path());
  const Plot plot = labels_plot(found.groups, Protocol::paper, Checkpoint::best);
  ASSERT_THAT(plot.panels, SizeIs(4)) << "no Delta_m without a Base ST-Net";
  EXPECT_THAT(legend(plot), ElementsAre("Base MT-Net", "XTasC-Net")) << "Align-Net has one place";
  std::vector<std::string> tics;
  for (const Tic& tic : plot.panels[0].x_tics) {
    EXPECT_EQ(tic.at, static_cast<double>(tics.size()));
    tics.push_back(tic.text);
  }
  EXPECT_THAT(tics, ElementsAre("1", "0.5", "0.1", "one label"));
  const Series& miou = series(plot, 0, "XTasC-Net");
  ASSERT_THAT(miou.points, SizeIs(4));
  EXPECT_NEAR(miou.points[2].y, 31.5, 1e-9);
  EXPECT_NEAR(miou.points[2].deviation.value(), 0.7071, 1e-3);
  EXPECT_EQ(miou.kind, SeriesKind::curve) << "with a band";
  EXPECT_EQ(miou.points[3].x, 3.0);
  EXPECT_NEAR(miou.points[3].y, 35.0, 1e-9);
}

TEST(Figures, LabelsRefuseRunsThatKeepTheSame) {
  const TempFolder folder;
  write_seed(folder.path(), "mt", 1, 0.0, {"model.system=base_mt", "data.label_share=0.5"});
  const Groups found = groups_in(folder.path());
  EXPECT_THROW(static_cast<void>(labels_plot(found.groups, Protocol::paper, Checkpoint::best)), Error);
}

TEST(Figures, CurvesShowLossesAndMetricsOverSeeds) {
  const TempFolder folder;
  for (const int seed : {1, 2}) {
    write_seed(folder.path(), "seg", seed, 0.0, {"model.system=base_st_seg"});
    write_seed(folder.path(), "depth", seed, 0.0, {"model.system=base_st_depth"});
    write_seed(folder.path(), "xtasc", seed, 0.01 * seed, {});
  }
  const Groups found = groups_in(folder.path());
  const Plot plot = curves_plot(found.groups, Protocol::paper);
  ASSERT_THAT(plot.panels, SizeIs(6));
  EXPECT_THAT(legend(plot), ElementsAre("Base ST-Net", "XTasC-Net"));
  const Series& miou = series(plot, 1, "XTasC-Net");
  ASSERT_THAT(miou.points, SizeIs(3));
  EXPECT_NEAR(miou.points[1].y, 31.5, 1e-9);
  EXPECT_NEAR(miou.points[1].deviation.value(), 0.7071, 1e-3);
  EXPECT_THAT(series(plot, 4, "Base ST-Net").points, SizeIs(3)) << "AbsErr is the depth net's";
}

TEST(Figures, CurvesSayWhatTheyAreMeasuredOn) {
  const TempFolder folder;
  write_seed(folder.path(), "held", 1, 0.0, {"data.holdout=0.25"});
  const auto subtitle = [&folder] { return curves_plot(groups_in(folder.path()).groups, Protocol::paper).subtitle; };
  EXPECT_THAT(subtitle(), HasSubstr("losses: solid held-out images, dashed training; metrics: of held-out images"));
  write_seed(folder.path(), "plain", 2, 0.0, {});
  EXPECT_THROW(static_cast<void>(subtitle()), Error);
}

TEST(Figures, RefuseMoreCurvesThanCanBeToldApart) {
  const TempFolder folder;
  for (int i = 0; i < 13; ++i) {
    write_seed(folder.path(), fmt::format("l{}", i), 1, 0.0, {fmt::format("loss.lambda_1=0.{:02}", i)});
  }
  const Groups found = groups_in(folder.path());
  EXPECT_THROW(static_cast<void>(curves_plot(found.groups, Protocol::paper)), Error);
}

TEST(Gnuplot, ScriptQuotesWhateverANameHolds) {
  Plot plot{.title = "It's 'a' title", .subtitle = "x_1", .panels = {{.x_label = "x", .y_label = "y"}}};
  plot.panels[0].series = {{.name = "a'b`c$(d)", .points = {{.x = 1.0, .y = 2.0, .deviation = {}}}}};
  const std::string script = gnuplot_script(plot, "name");
  EXPECT_THAT(script, HasSubstr("'It''s ''a'' title'"));
  EXPECT_THAT(script, HasSubstr("'a''b`c$(d)'")) << "single quotes: gnuplot substitutes nothing in them";
}

bool has_gnuplot() {
  const char* path = std::getenv("PATH");
  const std::string folders = path == nullptr ? "" : path;
  for (std::size_t begin = 0; begin <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', begin), folders.size());
    if (fs::exists(fs::path(folders.substr(begin, end - begin)) / "gnuplot")) {
      return true;
    }
    begin = end + 1;
  }
  return false;
}

/// PATH for the length of a test.
class PathIs {
 public:
  explicit PathIs(const fs::path& folder) : before_(std::getenv("PATH")) { ::setenv("PATH", folder.c_str(), 1); }
  ~PathIs() { ::setenv("PATH", before_.c_str(), 1); }
  PathIs(const PathIs&) = delete;
  PathIs& operator=(const PathIs&) = delete;

 private:
  std::string before_;
};

std::string message_of(const Plot& plot, const fs::path& prefix) {
  try {
    draw(plot, prefix);
  } catch (const Error& error) {
    return error.what();
  }
  return "drawn";
}

TEST(Gnuplot, DrawsBothPictures) {
  if (!has_gnuplot()) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  const TempFolder folder;
  write_lambda_runs(folder.path() / "runs", true);
  const Groups found = groups_in(folder.path() / "runs");
  const auto published = published_tables();
  // A folder with a space and a quote: the script names files only.
  const fs::path pictures = folder.path() / "it's a folder";
  fs::create_directories(pictures);
  draw(lambda_plot(found.groups, published, Protocol::paper, Checkpoint::best), pictures / "lambda");
  draw(curves_plot(found.groups, Protocol::paper), pictures / "curves");
  draw(encoders_plot(std::span(found.groups).subspan(0, 2), published, Protocol::paper, Checkpoint::best),
       pictures / "encoders");
  for (const char* name : {"lambda", "curves", "encoders"}) {
    const std::string svg = read_text(pictures / (std::string(name) + ".svg"));
    EXPECT_THAT(svg, HasSubstr("<svg"));
    EXPECT_THAT(svg, HasSubstr("</svg>"));
    EXPECT_THAT(svg, HasSubstr("higher is better"));
    EXPECT_THAT(svg, HasSubstr("Base MT-Net")) << "the legend";
    EXPECT_THAT(read_text(pictures / (std::string(name) + ".png")).substr(0, 8), "\x89PNG\r\n\x1a\n");
  }
}

TEST(Gnuplot, DrawsAMatrix) {
  if (!has_gnuplot()) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  const TempFolder folder;
  const Matrix matrix{.title = "T",
                      .subtitle = "S",
                      .row_label = "from",
                      .column_label = "to",
                      .scale_label = "change",
                      .names = {"a", "b"},
                      .cells = {{{}, {.value = 0.0, .text = "+0.00\n\u00b1 0.25"}}, {{}, {}}}};
  draw(matrix, folder.path() / "m");
  EXPECT_THAT(read_text(folder.path() / "m.svg"), HasSubstr("\u00b1 0.25"));
  EXPECT_THAT(read_text(folder.path() / "m.png").substr(0, 8), "\x89PNG\r\n\x1a\n");
}

TEST(Gnuplot, SaysWhatToDoWhereItIsMissing) {
  const TempFolder folder;
  const Plot plot{.title = "T", .subtitle = "", .panels = {{.x_label = "x", .y_label = "y"}}};
  const PathIs path(folder.path());
  EXPECT_THAT(message_of(plot, folder.path() / "f"),
              HasSubstr("gnuplot is not installed (Debian package gnuplot-nox)"));
  EXPECT_TRUE(fs::exists(folder.path() / "f.gp")) << "the script stays";
}

TEST(Gnuplot, ItsOwnErrorIsPassedOn) {
  const TempFolder folder;
  const fs::path fake = folder.path() / "gnuplot";
  write_text(fake, "#!/bin/sh\necho 'line 3: unknown terminal' >&2\nexit 1\n");
  ::chmod(fake.c_str(), 0755);
  const Plot plot{.title = "T", .subtitle = "", .panels = {{.x_label = "x", .y_label = "y"}}};
  const PathIs path(folder.path());
  EXPECT_THAT(message_of(plot, folder.path() / "f"), HasSubstr("unknown terminal"));
  write_text(fake, "#!/bin/sh\nexit 0\n");
  EXPECT_THAT(message_of(plot, folder.path() / "f"), HasSubstr("gnuplot wrote no"));
}

}  // namespace

}  // namespace xtasc::report
