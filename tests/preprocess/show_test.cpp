#include <gtest/gtest.h>

#include "figure/panel_layout.hpp"
#include "io/image/image.hpp"
#include "pack/pack_fixture.hpp"
#include "preprocess/show.hpp"

namespace xtasc::preprocess {
namespace {

using pack::Split;
using test::bytes_of;
using test::error_of;
using test::TempFolder;

using Rgb = std::array<std::uint8_t, 3>;

/// A picture of a pack of 32 x 64 pixels, each drawn as a square of 4.
struct Picture {
  static constexpr std::int64_t kMagnification = 4, kCellWidth = 256, kGap = 6, kMargin = 12;
  static constexpr std::int64_t kFirstRowY = kMargin + 28 + 20 + 6 + 20;  ///< below margin, title, heads, caption

  explicit Picture(const std::filesystem::path& path) : image(io::read_rgb_image(path)) {}
  [[nodiscard]] Rgb at(std::int64_t y, std::int64_t x) const {
    const auto p = static_cast<std::size_t>(3 * (y * image.width + x));
    return {image.pixels[p], image.pixels[p + 1], image.pixels[p + 2]};
  }
  /// The centre of a sample's pixel. \param column  0 image, then the label sets, then depth.
  [[nodiscard]] Rgb pixel(std::int64_t row, std::int64_t column, std::int64_t y, std::int64_t x) const {
    const std::int64_t cell_y = kFirstRowY + row * (32 * kMagnification + kGap + 20);
    const std::int64_t cell_x = kMargin + column * (kCellWidth + kGap);
    return at(cell_y + y * kMagnification + 2, cell_x + x * kMagnification + 2);
  }
  [[nodiscard]] bool has_color(const Rgb& color, std::int64_t from_y) const {
    for (std::int64_t y = from_y; y < image.height; ++y) {
      for (std::int64_t x = 0; x < image.width; ++x) {
        if (at(y, x) == color) {
          return true;
        }
      }
    }
    return false;
  }

  io::Image<std::uint8_t> image;
};

TEST(Show, DrawsWhatThePackHolds) {
  const TempFolder folder;
  const std::vector<pack::Rgb> colors = test::write_small_pack(folder / "a.h5").label_sets[0].class_colors;
  EXPECT_EQ(show_samples(folder / "a.h5", Split::train, {2, 0}, folder / "a.png"), 2);
  const Picture picture(folder / "a.png");
  EXPECT_EQ(picture.image.width, 3 * 256 + 2 * 6 + 2 * 12);
  for (const auto& [row, sample] : {std::pair{0, 2U}, {1, 0U}}) {
    const test::SmallSample raw(sample);
    for (const auto& [y, x] : {std::pair{0, 0}, {0, 4}, {3, 9}, {31, 63}, {17, 20}}) {
      const auto p = static_cast<std::size_t>(y * 64 + x);
      EXPECT_EQ(picture.pixel(row, 0, y, x), (Rgb{raw.image[3 * p], raw.image[3 * p + 1], raw.image[3 * p + 2]}));
      EXPECT_EQ(picture.pixel(row, 1, y, x), raw.label[p] == pack::kIgnoreLabel ? Rgb{} : colors[raw.label[p]]);
    }
    EXPECT_EQ(picture.pixel(row, 2, 0, 0), (Rgb{0, 0, 0})) << "no depth is black";
    EXPECT_NE(picture.pixel(row, 2, 0, 1), (Rgb{0, 0, 0}));
  }
  const test::SmallSample first(0);
  const auto nearest =
      static_cast<std::int64_t>(std::find(first.depth.begin(), first.depth.end(), 0.25F) - first.depth.begin());
  EXPECT_EQ(picture.pixel(1, 2, nearest / 64, nearest % 64), (Rgb{68, 1, 84})) << "viridis begins in violet";
  for (const Rgb& color : colors) {
    EXPECT_TRUE(picture.has_color(color, Picture::kFirstRowY + 2 * (128 + 26))) << "in the legend";
  }
}

TEST(Show, DrawsBothLabelSetsAndScaledDepth) {
  const TempFolder folder;
  pack::Schema schema = test::small_schema();
  schema.label_sets[0].name = "label_7";
  schema.label_sets.push_back(
      {"label_19", {"road", "car", "sky", "bus"}, {{9, 0, 0}, {0, 9, 0}, {0, 0, 9}, {9, 9, 9}}});
  schema.depth_kind = pack::DepthKind::inverse_depth;
  schema.depth_type = pack::DepthType::uint16;
  schema.depth_scale = 1.0 / 65536;
  pack::Writer writer(folder / "a.h5", schema, false);
  for (std::uint32_t i = 0; i < 2; ++i) {
    const test::SmallSample sample(i);
    pack::Sample view = sample.view();
    view.labels = {sample.label, sample.label};
    view.depth = std::span<const std::uint16_t>(sample.depth16);
    writer.append(i == 0 ? Split::train : Split::val, view);
  }
  writer.finish();
  EXPECT_EQ(show_samples(folder / "a.h5", Split::val, {}, folder / "a.png"), 1);
  const Picture picture(folder / "a.png");
  EXPECT_EQ(picture.image.width, 4 * 256 + 3 * 6 + 2 * 12);
  const test::SmallSample raw(1);
  EXPECT_EQ(picture.pixel(0, 1, 0, 0), schema.label_sets[0].class_colors[raw.label[0]]);
  EXPECT_EQ(picture.pixel(0, 2, 0, 0), schema.label_sets[1].class_colors[raw.label[0]]);
  EXPECT_EQ(picture.pixel(0, 3, 0, 0), (Rgb{0, 0, 0}));
  EXPECT_EQ(picture.pixel(0, 3, 0, 1), (Rgb{68, 1, 84})) << "14 of 32257";
  EXPECT_TRUE(picture.has_color({9, 9, 9}, Picture::kFirstRowY + 128)) << "bus, in the legend alone";
}

TEST(Show, DrawsNormalsAndNoneWhereLabelsAreMissing) {
  const TempFolder folder;
  pack::Schema schema = test::small_schema();
  schema.normals = "exact";
  std::vector<std::int16_t> normals(std::size_t{3} * 32 * 64, 0);
  for (std::size_t i = 3; i < normals.size(); i += 3) {  // all but the first pixel's: up
    normals[i + 1] = -pack::kNormalScale;
  }
  pack::Writer writer(folder / "a.h5", schema, false);
  for (std::uint32_t i = 0; i < 2; ++i) {
    test::SmallSample sample(i);
    pack::Sample view = sample.view();
    view.normals = normals;
    if (i == 1) {
      std::fill(sample.label.begin(), sample.label.end(), pack::kIgnoreLabel);
      view.without = {"seg"};
    }
    writer.append(Split::val, view);
  }
  writer.finish();
  EXPECT_EQ(show_samples(folder / "a.h5", Split::val, {}, folder / "a.png"), 2);
  const Picture picture(folder / "a.png");
  EXPECT_EQ(picture.image.width, 4 * 256 + 3 * 6 + 2 * 12);
  for (const std::int64_t row : {0, 1}) {
    EXPECT_EQ(picture.pixel(row, 3, 0, 0), (Rgb{0, 0, 0}));
    EXPECT_EQ(picture.pixel(row, 3, 20, 33), (Rgb{128, 255, 128}));
  }
  EXPECT_EQ(picture.pixel(1, 1, 20, 33), (Rgb{240, 240, 240})) << "the word none is elsewhere";
  EXPECT_NE(picture.pixel(0, 1, 20, 33), (Rgb{240, 240, 240}));
}

TEST(Show, TakesTheFirstSamplesAndReplacesAPicture) {
  const TempFolder folder;
  test::write_small_pack(folder / "a.h5");
  EXPECT_EQ(show_samples(folder / "a.h5", Split::train, {}, folder / "a.png"), 3);
  const std::string three = bytes_of(folder / "a.png");
  EXPECT_EQ(show_samples(folder / "a.h5", Split::train, {0}, folder / "a.png"), 1);
  EXPECT_NE(bytes_of(folder / "a.png"), three);
}

TEST(Show, RefusesWhatThePackDoesNotHave) {
  const TempFolder folder;
  const std::string pack = (folder / "a.h5").string();
  test::write_small_pack(pack);
  const std::string before = bytes_of(pack);
  for (const std::int64_t sample : {std::int64_t{3}, std::int64_t{-1}}) {
    try {
      show_samples(pack, Split::train, {0, sample}, folder / "a.png");
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      EXPECT_EQ(error.what(), "--samples " + std::to_string(sample) + ": '" + pack + "' has samples 0 to 2 in train");
    }
  }
  EXPECT_EQ(error_of([&] { show_samples(pack, Split::train, {}, pack); }),
            "--output " + pack + ": the picture is a PNG, a name that ends in .png is expected");
  EXPECT_EQ(bytes_of(pack), before);
  EXPECT_THAT(error_of([&] { show_samples(pack, Split::train, {}, folder / "no/a.png"); }),
              testing::HasSubstr("No such file or directory"));
  EXPECT_THAT(folder.entries(), testing::ElementsAre("a.h5"));
}

}  // namespace
}  // namespace xtasc::preprocess
