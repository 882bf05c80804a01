// Figures of what tasks cost each other: the front of nets, and the conflict of gradients; and names in legends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/plot/figures.hpp"
#include "report/results_fixture.hpp"
#include "report/series_names.hpp"

namespace xtasc::report {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::string kThree = "model.tasks=[\"segmentation\",\"depth\",\"normals\"]";

class FiguresOfTasks : public testing::Test {
 protected:
  /// The metrics of every epoch, in both protocols. Where a cosine is below 0, the norms' ratio is 1/2, else 2, and
  /// the pair is in conflict.
  void write(const std::string& name, std::vector<std::string> settings, const run::MetricValues& metrics,
             const std::vector<std::map<std::string, double>>& cosines = {}) {
    settings.emplace_back("train.epochs=2");
    const run::RunFolder run = test::write_run(folder.path(), {.name = name, .settings = settings, .num_epochs = 2});
    const bool has_depth = config::system_of(config::run_config_of(settings).model).has("depth");
    std::string lines;
    for (std::int64_t epoch = 1; epoch <= 2; ++epoch) {
      run::EpochRecord record = test::synthetic_epoch(epoch, true, 0.0, true, has_depth);
      for (const auto& [key, value] : metrics) {
        record.paper[key] = value;
        record.dataset[key] = value;
      }
      if (!cosines.empty()) {
        record.gradients["cosine"] = cosines.at(static_cast<std::size_t>(epoch) - 1);
        for (const auto& [pair, cosine] : record.gradients["cosine"]) {
          record.gradients["norm_ratio"][pair] = cosine < 0.0 ? 0.5 : 2.0;
          record.gradients["in_conflict"][pair] = cosine < 0.0 ? 1.0 : 0.0;
        }
      }
      lines += run::to_json_line(record) + '\n';
    }
    test::write_text(run.metrics(), lines);
  }
  std::vector<SeedGroup> groups() {
    loaded = run::load_runs(std::vector<fs::path>{folder.path()});
    const std::vector<Protocol> protocols = {Protocol::paper};
    return aggregate(make_tables(loaded.runs, protocols, Checkpoint::best).at(0));
  }
  Plot front(const std::vector<std::string>& metrics = {}) {
    return front_plot(groups(), metrics, Protocol::paper, Checkpoint::best);
  }
  std::string error_of(const std::vector<std::string>& metrics) {
    try {
      static_cast<void>(front(metrics));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  test::TempFolder folder;
  run::LoadedRuns loaded;
};

const Series& series(const Panel& panel, const std::string& name, SeriesKind kind) {
  const auto found =
      std::ranges::find_if(panel.series, [&](const Series& of) { return of.name == name && of.kind == kind; });
  EXPECT_NE(found, panel.series.end()) << name;
  return *found;
}

std::vector<std::pair<double, double>> places(const Series& of) {
  std::vector<std::pair<double, double>> found;
  for (const PlotPoint& point : of.points) {
    found.emplace_back(point.x, point.y);
  }
  return found;
}

TEST_F(FiguresOfTasks, TheFrontIsWhatNoOtherNetDominates) {
  // Higher mIoU is better, and lower AbsErr. c is worse than b in both; d is as good as a in one and worse in the
  // other.
  write("a", {"weighting.method=equal"}, {{"miou", 0.25}, {"abs_err", 0.5}});
  write("b", {"weighting.method=dwa"}, {{"miou", 0.5}, {"abs_err", 1.0}});
  write("c", {"weighting.method=dwa", "weighting.temperature=3.0"}, {{"miou", 0.375}, {"abs_err", 1.5}});
  write("d", {"weighting.method=rlw"}, {{"miou", 0.125}, {"abs_err", 0.5}});
  write("e", {"weighting.method=pcgrad"}, {{"miou", 0.75}, {"abs_err", 2.0}});
  const Plot plot = front();
  ASSERT_THAT(plot.panels, SizeIs(1));
  const Panel& panel = plot.panels[0];
  EXPECT_EQ(panel.x_label, "mIoU (%), higher is better");
  EXPECT_EQ(panel.y_label, "AbsErr (m), lower is better");
  // From a up to the height of b, then across to b, as what they dominate lies above and left.
  EXPECT_THAT(places(panel.series[0]), ElementsAre(std::pair(25.0, 0.5), std::pair(25.0, 1.0), std::pair(50.0, 1.0),
                                                   std::pair(50.0, 2.0), std::pair(75.0, 2.0)));
  EXPECT_EQ(panel.series[0].kind, SeriesKind::edge);
  EXPECT_THAT(places(series(panel, "XTasC-Net, dwa", SeriesKind::point)), ElementsAre(std::pair(50.0, 1.0)));
  const auto is_hollow = [&panel](double x) {
    return std::ranges::any_of(panel.series, [x](const Series& of) {
      return of.kind == SeriesKind::hollow && std::ranges::count(of.points, x, &PlotPoint::x) > 0;
    });
  };
  EXPECT_TRUE(is_hollow(37.5));
  EXPECT_TRUE(is_hollow(12.5));
  EXPECT_FALSE(is_hollow(25.0));
  const std::size_t style = series(panel, "XTasC-Net, dwa", SeriesKind::point).style;
  EXPECT_TRUE(std::ranges::any_of(panel.series, [style](const Series& of) {
    return of.kind == SeriesKind::hollow && of.style == style && of.points.size() == 1 && of.name.empty();
  })) << "two nets of one method look alike";
  EXPECT_LT(*panel.x_min, 12.5);
  EXPECT_GT(*panel.x_max, 75.0);
}

TEST_F(FiguresOfTasks, EqualNetsAreBothOnTheFront) {
  write("a", {"weighting.method=equal"}, {});
  write("b", {"weighting.method=dwa"}, {});
  const Panel panel = front().panels.at(0);
  EXPECT_THAT(series(panel, "XTasC-Net, equal", SeriesKind::point).points, SizeIs(1));
  EXPECT_THAT(series(panel, "XTasC-Net, dwa", SeriesKind::point).points, SizeIs(1));
}

TEST_F(FiguresOfTasks, APointIsTheMeanOverSeedsWithBarsOfBothMetrics) {
  write("a", {"run.seed=1"}, {{"miou", 0.25}, {"abs_err", 0.5}});
  write("b", {"run.seed=2"}, {{"miou", 0.5}, {"abs_err", 1.0}});
  const Panel panel = front().panels.at(0);
  const PlotPoint point = series(panel, "XTasC-Net", SeriesKind::point).points.at(0);
  EXPECT_NEAR(point.x, 37.5, 1e-9);
  EXPECT_NEAR(*point.x_deviation, 25.0 / std::sqrt(2.0), 1e-9);
  EXPECT_NEAR(*point.deviation, 0.5 / std::sqrt(2.0), 1e-9);
  const std::string script = gnuplot_script(front(), "f");
  EXPECT_THAT(script, HasSubstr("using 1:2:4:3 with xyerrorbars"));
}

TEST_F(FiguresOfTasks, TheFrontHasAPanelAPairAndTheMetricsThatAreChosen) {
  write("three", {kThree}, {});
  write("two", {}, {});
  const Plot plot = front({"angle_median", "rel_err"});
  ASSERT_THAT(plot.panels, SizeIs(3));
  EXPECT_THAT(plot.panels[0].x_label, HasSubstr("mIoU"));
  EXPECT_THAT(plot.panels[0].y_label, HasSubstr("RelErr"));
  EXPECT_THAT(plot.panels[2].y_label, HasSubstr("Median angle"));
  EXPECT_THAT(error_of({"rel_er"}), HasSubstr("no metric \"rel_er\"; did you mean \"rel_err\"?"));
  EXPECT_THAT(error_of({"miou", "pix_acc"}), HasSubstr("miou and pix_acc are both of segmentation"));
}

TEST_F(FiguresOfTasks, OneTaskHasNoFront) {
  write("seg", {"model.system=segnet", "model.tasks=[\"segmentation\"]"}, {});
  EXPECT_THAT(error_of({}), HasSubstr("no finished net has two tasks"));
}

TEST_F(FiguresOfTasks, ConflictHasThePairsMeasuresOverEpochs) {
  write("plain", {"weighting.method=dwa", kThree}, {});
  EXPECT_THROW(static_cast<void>(conflict_plot(groups())), Error) << "no gradients";
  write("a", {"weighting.method=pcgrad", kThree}, {},
        {{{"seg,depth", 0.5}, {"seg,normals", -0.25}}, {{"seg,depth", 0.25}, {"seg,normals", -0.5}}});
  write("b", {"weighting.method=pcgrad", kThree, "run.seed=2"}, {},
        {{{"seg,depth", 0.75}, {"depth,normals", 1.0}}, {{"seg,depth", 0.25}, {"depth,normals", 0.5}}});
  // By another order of its tasks.
  write("c", {"weighting.method=mgda", "model.tasks=[\"normals\",\"depth\"]"}, {},
        {{{"normals,depth", -1.0}}, {{"normals,depth", -0.5}}});
  const Plot plot = conflict_plot(groups());
  ASSERT_THAT(plot.panels, SizeIs(9)) << "three pairs, three measures";
  EXPECT_EQ(plot.panels[0].y_label, "Segmentation and depth: cosine");
  EXPECT_EQ(plot.panels[7].y_label, "Depth and normals: log2 of the norms' ratio");
  const auto curve = [&plot](std::size_t panel, const std::string& method) -> const Series& {
    const auto& all = plot.panels.at(panel).series;
    const auto found =
        std::ranges::find_if(all, [&method](const Series& of) { return of.name.find(method) != std::string::npos; });
    EXPECT_NE(found, all.end()) << method;
    return *found;
  };
  EXPECT_THAT(places(curve(0, "pcgrad")), ElementsAre(std::pair(1.0, 0.625), std::pair(2.0, 0.25)));
  EXPECT_NEAR(*curve(0, "pcgrad").points[0].deviation, 0.25 / std::sqrt(2.0), 1e-12);
  EXPECT_THAT(places(curve(3, "pcgrad")), ElementsAre(std::pair(1.0, -0.25), std::pair(2.0, -0.5)));
  EXPECT_THAT(places(curve(4, "pcgrad")), ElementsAre(std::pair(1.0, -1.0), std::pair(2.0, -1.0)));
  EXPECT_THAT(places(curve(5, "pcgrad")), ElementsAre(std::pair(1.0, 100.0), std::pair(2.0, 100.0)));
  EXPECT_THAT(places(curve(2, "pcgrad")), ElementsAre(std::pair(1.0, 0.0), std::pair(2.0, 0.0)));
  EXPECT_THAT(places(curve(6, "mgda")), ElementsAre(std::pair(1.0, -1.0), std::pair(2.0, -0.5)));
  EXPECT_THAT(places(curve(7, "mgda")), ElementsAre(std::pair(1.0, 1.0), std::pair(2.0, 1.0)));
  EXPECT_THAT(curve(0, "mgda").points, IsEmpty());
  EXPECT_EQ(plot.panels[0].series[0].kind, SeriesKind::reference) << "no conflict: 0";
  EXPECT_NE(plot.panels[2].series[0].kind, SeriesKind::reference) << "a share has none";
  EXPECT_THAT(plot.panels[0].series, SizeIs(3)) << "dwa has none";
}

TEST_F(FiguresOfTasks, LegendsTellTransfersWithoutEmptyLists) {
  write("mt", {"model.system=base_mt", kThree}, {});
  write("all", {kThree}, {});
  write("one", {kThree, "model.transfer_pairs=[\"seg>depth\"]"}, {});
  write("both", {kThree, "model.transfer_pairs=[\"seg>depth\",\"depth>seg\"]"}, {});
  EXPECT_THAT(series_names(groups(), {}),
              testing::UnorderedElementsAre("Base MT-Net", "XTasC-Net", "XTasC-Net, transfer_pairs seg>depth",
                                            "XTasC-Net, transfer_pairs [seg>depth, depth>seg]"));
}

}  // namespace
}  // namespace xtasc::report
