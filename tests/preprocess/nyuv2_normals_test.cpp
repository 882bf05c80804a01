#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <filesystem>

#include "io/image/image.hpp"
#include "pack/pack_fixture.hpp"
#include "pack/reader.hpp"
#include "pack/verify.hpp"
#include "preprocess/datasets/nyuv2.hpp"
#include "preprocess/nyuv2_fixture.hpp"
#include "preprocess/pack_builder.hpp"

namespace xtasc::preprocess {
namespace {

namespace fs = std::filesystem;
using pack::Split;
using test::error_of;
using testing::HasSubstr;
using testing::IsEmpty;

/// Two frames of the official size, each a plane; frame 1 is train, 2 val.
class Nyuv2NormalsTest : public testing::Test {
 protected:
  static constexpr std::size_t kRows = 480, kColumns = 640;
  static constexpr std::array<std::array<double, 3>, 2> kPlanes = {{{0.36, -0.48, -0.8}, {-0.36, 0.48, -0.8}}};

  void SetUp() override {
    const io::Hdf5Handle file = io::create_hdf5(raw / "nyu_depth_v2_labeled.mat", "the test's file");
    std::vector<float> depths(2 * kColumns * kRows);
    for (std::size_t f = 0; f < 2; ++f) {
      const auto& n = kPlanes[f];
      for (std::size_t x = 0; x < kColumns; ++x) {
        for (std::size_t y = 0; y < kRows; ++y) {
          const double u = (static_cast<double>(x + 1) - 325.582449) / 518.857901;
          const double v = (static_cast<double>(y + 1) - 253.736166) / 519.469611;
          depths[(f * kColumns + x) * kRows + y] = static_cast<float>(-1.5 / (n[0] * u + n[1] * v + n[2]));
        }
      }
    }
    depths[0] = 0.0F;
    write_frames(file.get(), "images", H5T_NATIVE_UINT8, {2, 3, kColumns, kRows}, {},
                 std::vector<std::uint8_t>(6 * kColumns * kRows, 50));
    write_frames(file.get(), "depths", H5T_NATIVE_FLOAT, {2, kColumns, kRows}, {}, depths);
    write_frames(file.get(), "labels", H5T_NATIVE_UINT16, {2, kColumns, kRows}, {},
                 std::vector<std::uint16_t>(2 * kColumns * kRows, 1));
    test::write_bytes(raw / "splits.mat", splits_file({1}, {2}));
  }
  /// Published files of the planes, with a mask without its first row. \param signs  of the components in the files
  void publish(const AxisSigns& signs) const {
    std::vector<std::uint8_t> mask(kRows * kColumns, 255);
    std::fill_n(mask.begin(), kColumns, std::uint8_t{0});
    fs::create_directories(raw / "published/normals");
    fs::create_directories(raw / "published/masks");
    for (std::size_t f = 0; f < 2; ++f) {
      std::vector<std::uint8_t> colors(3 * kRows * kColumns);
      for (std::size_t i = 0; i < colors.size(); ++i) {
        colors[i] = static_cast<std::uint8_t>(std::lround((signs[i % 3] * kPlanes[f][i % 3] + 1) * 127.5));
      }
      const std::string name = "000" + std::to_string(f) + ".png";
      io::write_png(raw / ("published/normals/" + name), colors, kRows, kColumns, 3);
      io::write_png(raw / ("published/masks/" + name), mask, kRows, kColumns, 1);
    }
  }
  [[nodiscard]] std::string build(const std::optional<Nyuv2Normals>& normals) const {
    return error_of([&] { build_pack(Nyuv2Dataset(raw.path(), normals), options); });
  }
  [[nodiscard]] std::vector<std::int16_t> packed(Split split) const {
    std::vector<std::int16_t> normals(std::size_t{3} * 96 * 128);
    pack::Reader(options.output).read_normals(split, 0, 1, normals);
    return normals;
  }
  [[nodiscard]] Nyuv2Normals folder(const AxisSigns& signs = {1, 1, 1}) const {
    return {.folder = raw / "published", .signs = signs};
  }

  test::TempFolder raw, out;
  BuildOptions options{.output = out / "a.h5", .resize = {{96, 128}}, .overwrite = true};
};

TEST_F(Nyuv2NormalsTest, FromDepthAreThoseOfThePlanes) {
  ASSERT_EQ(build(Nyuv2Normals{}), "no error");
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
  EXPECT_EQ(pack::Reader(options.output).schema().normals, "from depth");
  for (const Split split : {Split::train, Split::val}) {
    const auto normals = packed(split);
    const auto& plane = kPlanes[static_cast<std::size_t>(split)];
    for (std::size_t i = 0; i < normals.size(); ++i) {
      ASSERT_NEAR(normals[i] / 32767.0, plane[i % 3], 1e-4) << i;
    }
  }
  ASSERT_EQ(build(std::nullopt), "no error");
  EXPECT_FALSE(pack::Reader(options.output).schema().has_normals());
}

TEST_F(Nyuv2NormalsTest, PublishedAreReadByTheFramesNumber) {
  publish({1, 1, 1});
  ASSERT_EQ(build(folder()), "no error");
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
  EXPECT_EQ(pack::Reader(options.output).schema().normals, "published");
  const auto normals = packed(Split::val);
  for (std::size_t i = 0; i < normals.size(); ++i) {
    ASSERT_NEAR(normals[i] / 32767.0, kPlanes[1][i % 3], 0.005) << i;
  }
  publish({-1, -1, 1});
  ASSERT_EQ(build(folder({-1, -1, 1})), "no error");
  EXPECT_NEAR(packed(Split::val)[300], normals[300], 200);
}

TEST_F(Nyuv2NormalsTest, AxesThatTheDepthContradictsAreRefused) {
  publish({-1, 1, -1});
  EXPECT_THAT(build(folder()), HasSubstr("normals/0000.png': against the depth of frame 1, its x and z point the other "
                                         "way; --normals-axes says what they count"));
}

TEST_F(Nyuv2NormalsTest, FilesOfNoFrameAreFaults) {
  publish({1, 1, 1});
  fs::copy_file(raw / "published/masks/0000.png", raw / "published/masks/9999.png");
  std::ofstream(raw / "published/normals/notes.txt") << "passed over\n";
  const std::string error = build(folder());
  EXPECT_THAT(error, HasSubstr("masks/9999.png' belongs to no frame: 0000.png to 0001.png are expected"));
  EXPECT_THAT(error, Not(HasSubstr("notes.txt")));
}

TEST_F(Nyuv2NormalsTest, MissingAndWrongFilesAreFaults) {
  EXPECT_THAT(build(folder()), HasSubstr("there is no folder '" + (raw / "published/normals").string()));
  publish({1, 1, 1});
  fs::remove(raw / "published/masks/0000.png");
  io::write_png(raw / "published/normals/0001.png", std::vector<std::uint8_t>(std::size_t{3} * 32 * 32), 32, 32, 3);
  const std::string error = build(folder());
  EXPECT_THAT(error, HasSubstr("the raw data has 2 faults"));
  EXPECT_THAT(error, HasSubstr("masks/0000.png': No such file or directory"));
  EXPECT_THAT(error, HasSubstr("normals/0001.png': 32 x 32 pixels (height x width), 480 x 640 are expected"));
}

}  // namespace
}  // namespace xtasc::preprocess
