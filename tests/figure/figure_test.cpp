#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "core/error.hpp"
#include "figure/panel.hpp"
#include "figure/panel_layout.hpp"
#include "io/image/image.hpp"

namespace xtasc::figure {
namespace {

using Picture = io::Image<std::uint8_t>;

/// A sample of 8 x 16 pixels: upper half class 0, lower half class 1, the last pixel ignored and without depth.
struct Sample {
  static constexpr std::int64_t kHeight = 8, kWidth = 16;
  static constexpr std::size_t kPixels = 8 * 16;
  std::vector<std::uint8_t> image = std::vector<std::uint8_t>(3 * kPixels, 200);
  std::vector<std::uint8_t> label = std::vector<std::uint8_t>(kPixels, 0);
  std::vector<float> depth = std::vector<float>(kPixels, 1.0F);

  Sample() {
    for (std::size_t p = kPixels / 2; p < kPixels; ++p) {
      label[p] = 1;
      depth[p] = 4.0F;
    }
    label.back() = 255;
    depth.back() = 0.0F;
  }

  [[nodiscard]] PanelRow full_row(const std::string& caption = "sample") const {
    return {caption, image, {label, label, depth, depth}};
  }
};

/// Columns: true and predicted labels, true and predicted depth.
PanelOptions options() {
  return {.height = Sample::kHeight,
          .width = Sample::kWidth,
          .columns = {{.head = "labels: truth", .part = "the true label", .kind = MapKind::classes},
                      {.head = "labels: predicted", .part = "the predicted label", .kind = MapKind::classes},
                      {.head = "depth: truth", .part = "the true depth", .has_invalid = true},
                      {.head = "depth: predicted", .part = "the predicted depth"}},
          .palettes = {{{"floor", "wall"}, {{10, 200, 30}, {40, 50, 220}}}},
          .scales = {{"depth [m]"}},
          .title = "A panel"};
}

class Panel : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("xtasc_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
  }

  Picture draw(const std::vector<PanelRow>& rows, const PanelOptions& how) {
    const std::filesystem::path path = folder_ / "panel.png";
    write_panel(path, rows, how);
    return io::read_rgb_image(path);
  }

  std::filesystem::path folder_;
};

Rgb at(const Picture& picture, const Area& cell, int magnification, int y, int x) {
  const std::int64_t row = cell.y + y * magnification + magnification / 2;
  const std::int64_t column = cell.x + x * magnification + magnification / 2;
  const auto pixel = picture.pixels.begin() + 3 * (row * picture.width + column);
  return {pixel[0], pixel[1], pixel[2]};
}

TEST_F(Panel, HoldsEveryPartInItsCell) {
  const Sample sample;
  const std::vector<PanelRow> rows{sample.full_row("one"), sample.full_row("two")};
  const Picture picture = draw(rows, options());
  const PanelLayout layout = lay_out_panel(rows, options());
  ASSERT_EQ(picture.width, layout.width);
  ASSERT_EQ(picture.height, layout.height);
  ASSERT_EQ(layout.columns.size(), 4U);
  ASSERT_EQ(layout.heads.size(), 5U);
  EXPECT_EQ(layout.magnification, 16);
  for (const std::vector<Area>& cells : layout.cells) {
    EXPECT_GE(cells[0].width, 256);
    const int m = layout.magnification;
    EXPECT_EQ(at(picture, cells[0], m, 3, 3), (Rgb{200, 200, 200}));
    for (const std::size_t column : {1U, 2U}) {
      EXPECT_EQ(at(picture, cells[column], m, 0, 0), (Rgb{10, 200, 30}));
      EXPECT_EQ(at(picture, cells[column], m, 4, 0), (Rgb{40, 50, 220}));
      EXPECT_EQ(at(picture, cells[column], m, 7, 15), kInvalidColor);
    }
    EXPECT_EQ(at(picture, cells[3], m, 7, 15), kInvalidColor);
    EXPECT_NE(at(picture, cells[4], m, 7, 15), kInvalidColor) << "a predicted depth of 0 is a prediction";
    EXPECT_EQ(at(picture, cells[3], m, 0, 0), (Rgb{68, 1, 84})) << "viridis begins in violet";
    EXPECT_EQ(at(picture, cells[3], m, 7, 0), (Rgb{253, 231, 37})) << "and ends in yellow";
  }
}

TEST_F(Panel, LeavesOutColumnsThatNoRowHas) {
  const Sample sample;
  PanelRow row;
  row.caption = "user image";
  row.image = sample.image;
  row.maps = {std::nullopt, std::nullopt, std::nullopt, sample.depth};
  const PanelLayout layout = lay_out_panel({row}, options());
  EXPECT_THAT(layout.columns, testing::ElementsAre(3U));
  EXPECT_TRUE(layout.legend.empty());
  ASSERT_EQ(layout.color_bars.size(), 1U);
  EXPECT_GT(layout.color_bars.front().area.width, 0);
  EXPECT_EQ(draw({row}, options()).width, layout.width);
}

TEST_F(Panel, ShowsWildDepthsAsInvalidOrClamped) {
  Sample sample;
  PanelRow row = sample.full_row();
  std::vector<float> predicted = sample.depth;
  predicted[0] = std::numeric_limits<float>::quiet_NaN();
  predicted[1] = -5.0F;
  predicted[2] = 1000.0F;
  row.maps[3] = predicted;
  const Picture picture = draw({row}, options());
  const PanelLayout layout = lay_out_panel({row}, options());
  const Area cell = layout.cells[0][4];
  EXPECT_EQ(at(picture, cell, layout.magnification, 0, 0), kInvalidColor);
  EXPECT_EQ(at(picture, cell, layout.magnification, 0, 1), (Rgb{68, 1, 84}));
  EXPECT_EQ(at(picture, cell, layout.magnification, 0, 2), (Rgb{253, 231, 37}));
}

/// Two scales in one picture: each has the range of its own truth.
TEST_F(Panel, EachScaleHasItsOwnRange) {
  const Sample sample;
  std::vector<float> flow(Sample::kPixels, 100.0F);
  flow[0] = 200.0F;
  flow[1] = 0.0F;
  PanelOptions two = options();
  two.columns.push_back({.head = "flow", .part = "the flow", .paint = 1, .has_invalid = true});
  two.scales.push_back({"flow"});
  PanelRow row = sample.full_row();
  row.maps.emplace_back(flow);
  const Picture picture = draw({row}, two);
  const PanelLayout layout = lay_out_panel({row}, two);
  const int m = layout.magnification;
  EXPECT_EQ(at(picture, layout.cells[0][3], m, 0, 0), (Rgb{68, 1, 84}));
  EXPECT_EQ(at(picture, layout.cells[0][3], m, 7, 0), (Rgb{253, 231, 37}));
  EXPECT_EQ(at(picture, layout.cells[0][5], m, 0, 0), (Rgb{253, 231, 37}));
  EXPECT_EQ(at(picture, layout.cells[0][5], m, 0, 1), kInvalidColor);
  EXPECT_EQ(at(picture, layout.cells[0][5], m, 4, 4), (Rgb{68, 1, 84}));
}

/// Red to the right, green up, blue to the camera; of any length.
TEST_F(Panel, DrawsNormalsByTheirDirection) {
  EXPECT_EQ(color_of_normal(0, 0, -2), (Rgb{128, 128, 255}));
  EXPECT_EQ(color_of_normal(0, -0.5F, 0), (Rgb{128, 255, 128}));
  EXPECT_EQ(color_of_normal(3, 0, 0), (Rgb{255, 128, 128}));
  EXPECT_EQ(color_of_normal(-3, -4, 0), (Rgb{51, 230, 128})) << "127.5 * 0.4, 127.5 * 1.8";
  const Sample sample;
  std::vector<float> normals(3 * Sample::kPixels, 0.0F);  // 0 0 0 from the lower half on
  std::fill_n(normals.begin() + 2 * Sample::kPixels, Sample::kPixels / 2, -7.0F);
  normals[5] = std::numeric_limits<float>::infinity();
  PanelOptions with_normals = options();
  for (const bool is_truth : {true, false}) {
    with_normals.columns.push_back({.head = "normals",
                                    .part = is_truth ? "the true normals" : "the predicted normals",
                                    .kind = MapKind::normals,
                                    .has_invalid = is_truth});
  }
  PanelRow row = sample.full_row();
  row.maps.emplace_back(normals);
  row.maps.emplace_back(normals);
  const Picture picture = draw({row}, with_normals);
  const PanelLayout layout = lay_out_panel({row}, with_normals);
  const int m = layout.magnification;
  for (const std::size_t column : {5U, 6U}) {
    EXPECT_EQ(at(picture, layout.cells[0][column], m, 3, 3), (Rgb{128, 128, 255}));
    EXPECT_EQ(at(picture, layout.cells[0][column], m, 0, 5), kInvalidColor) << "not finite";
  }
  with_normals.invalid = InvalidPixels::black;
  const Picture black = draw({row}, with_normals);
  EXPECT_EQ(at(black, layout.cells[0][5], m, 4, 0), (Rgb{0, 0, 0}));
  EXPECT_EQ(at(black, layout.cells[0][6], m, 4, 0), (Rgb{128, 128, 128})) << "a predicted 0 0 0 is a prediction";
  std::vector<std::string> legend;
  for (const LegendEntry& entry : layout.legend) {
    legend.push_back(entry.text);
  }
  EXPECT_THAT(legend, testing::ElementsAre("floor", "wall", "ignored", "normal to the right", "up", "to the camera",
                                           "no normal"));
  normals.pop_back();
  row.maps.back() = normals;
  EXPECT_THROW(draw({row}, with_normals), Error);
}

TEST_F(Panel, NothingOverlapsOrLeavesThePicture) {
  const Sample sample;
  PanelOptions many = options();
  many.palettes[0].colors.assign(40, Rgb{1, 2, 3});
  many.palettes[0].names.clear();
  for (int i = 0; i < 40; ++i) {
    many.palettes[0].names.push_back("class number " + std::to_string(i));
  }
  many.columns.push_back({.head = "again", .part = "the second label", .kind = MapKind::classes, .paint = 1});
  many.columns.push_back({.head = "flow", .part = "the flow", .paint = 1});
  many.palettes.push_back(options().palettes[0]);
  many.scales.push_back({"flow"});
  PanelRow narrow;
  narrow.image = sample.image;
  narrow.maps = {std::nullopt, sample.label};
  PanelRow wide = sample.full_row();
  wide.maps.insert(wide.maps.end(), {sample.label, sample.depth});
  EXPECT_EQ(lay_out_panel({wide}, many).color_bars.size(), 2U);
  for (const PanelRow& row : {sample.full_row(), narrow, wide}) {
    const PanelLayout layout = lay_out_panel({row, row}, many);
    std::vector<Area> areas = layout.heads;
    areas.insert(areas.end(), layout.captions.begin(), layout.captions.end());
    for (const std::vector<Area>& cells : layout.cells) {
      areas.insert(areas.end(), cells.begin(), cells.end());
    }
    for (const LegendEntry& entry : layout.legend) {
      const int end = entry.patch.width + 6 + text_width(entry.text, PanelLayout::kTextScale);
      areas.push_back({entry.patch.x, entry.patch.y, end, entry.patch.height});
    }
    areas.push_back(layout.title);
    for (const auto& [bar, scale] : layout.color_bars) {
      areas.push_back({bar.x, bar.y - 20, bar.width, bar.height + 40});
    }
    for (std::size_t i = 0; i < areas.size(); ++i) {
      const Area& a = areas[i];
      EXPECT_TRUE(a.x >= 0 && a.y >= 0 && a.x + a.width <= layout.width && a.y + a.height <= layout.height) << i;
      for (std::size_t j = 0; j < i; ++j) {
        const Area& b = areas[j];
        EXPECT_TRUE(a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y)
            << i << " and " << j;
      }
    }
  }
}

TEST_F(Panel, RefusesWhatDoesNotFit) {
  const Sample sample;
  PanelRow short_image = sample.full_row();
  short_image.image = short_image.image.first(12);
  PanelRow short_depth = sample.full_row();
  short_depth.maps[2] = std::span(sample.depth).first(5);
  PanelRow numbers_for_classes = sample.full_row();
  numbers_for_classes.maps[0] = sample.depth;
  PanelOptions one_name = options();
  one_name.palettes[0].names.pop_back();
  PanelOptions one_class = one_name;
  one_class.palettes[0].colors.pop_back();
  PanelOptions no_scale = options();
  no_scale.scales.clear();
  const std::filesystem::path path = folder_ / "refused.png";
  EXPECT_THROW(write_panel(path, {short_image}, options()), Error);
  EXPECT_THROW(write_panel(path, {short_depth}, options()), Error);
  EXPECT_THROW(write_panel(path, {sample.full_row()}, one_name), Error);
  EXPECT_THROW(write_panel(path, {sample.full_row()}, one_class), Error) << "class 1 has no colour";
  EXPECT_THROW(write_panel(path, {}, options()), Error);
  EXPECT_THROW(write_panel(path, {numbers_for_classes}, options()), Error);
  EXPECT_THROW(write_panel(path, {sample.full_row()}, no_scale), Error);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THROW(write_panel(folder_ / "no_such_folder" / "panel.png", {sample.full_row()}, options()), Error);
}

TEST(FitText, KeepsTheEndOfLongNames) {
  const std::string name = "leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png";
  const std::string shorter = fit_text(name, 200, PanelLayout::kTextScale);
  EXPECT_LE(text_width(shorter, PanelLayout::kTextScale), 200);
  EXPECT_THAT(shorter, testing::StartsWith("left"));
  EXPECT_THAT(shorter, testing::HasSubstr("..."));
  EXPECT_THAT(shorter, testing::EndsWith("8bit.png"));
  EXPECT_EQ(fit_text("caf\xc3\xa9", 200, PanelLayout::kTextScale), "caf?");
}

}  // namespace
}  // namespace xtasc::figure
