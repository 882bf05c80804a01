#include <gtest/gtest.h>

#include <cmath>

#include "io/exif_fixture.hpp"
#include "io/image/image.hpp"
#include "pack/reader.hpp"
#include "pack/verify.hpp"
#include "preprocess/folder_fixture.hpp"

namespace xtasc::preprocess {
namespace {

namespace fs = std::filesystem;
using pack::Split;
using test::bytes_of;
using test::error_of;
using test::write_bytes;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::size_t kRawPixels = kHeight * kWidth;

/// The folder's six samples with normals: towards the camera, tilted to the right from column 40 on; the top left pixel
/// and those of row 30 without one.
class NormalsFolder : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    for (int i = 0; i < 6; ++i) {
      write_normals(i, colors());
    }
    describe("file = \"normals/{id}.png\"\n");
    options.overwrite = true;
  }
  static std::vector<std::uint8_t> colors() {
    std::vector<std::uint8_t> pixels;
    for (std::size_t p = 0; p < kRawPixels; ++p) {
      const bool is_valid = p != 0 && p / kWidth != 30;
      // 2 * 204 / 255 - 1 = 0.6, 2 * 26 / 255 - 1 = -0.796
      const std::vector<std::uint8_t> color = !is_valid          ? std::vector<std::uint8_t>{128, 128, 127}
                                              : p % kWidth >= 40 ? std::vector<std::uint8_t>{204, 128, 26}
                                                                 : std::vector<std::uint8_t>{128, 128, 0};
      pixels.insert(pixels.end(), color.begin(), color.end());
    }
    return pixels;
  }
  static std::string id_of(int i) { return (i < 4 ? "a/" : "b/") + std::to_string(i); }
  void write_normals(int i, const std::vector<std::uint8_t>& pixels) const {
    const fs::path path = raw / ("normals/" + id_of(i) + ".png");
    fs::create_directories(path.parent_path());
    io::write_png(path, pixels, kHeight, kWidth, 3);
  }
  /// \param keys  of [normals]
  void describe(const std::string& keys) const {
    write_bytes(raw / "dataset.toml", replaced("[split]", "[normals]\n" + keys + "[split]"));
  }
  std::vector<std::int16_t> packed(Split split, std::int64_t sample) const {
    std::vector<std::int16_t> normals(std::size_t{3} * 32 * 64);
    pack::Reader(options.output).read_normals(split, sample, 1, normals);
    return normals;
  }
};

std::vector<std::int16_t> pixel_of(const std::vector<std::int16_t>& normals, std::size_t row, std::size_t column) {
  const auto at = normals.begin() + static_cast<std::ptrdiff_t>(3 * (row * 64 + column));
  return {at, at + 3};
}

TEST_F(NormalsFolder, ArePackedNearestAndWithUnitLength) {
  build();
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
  EXPECT_EQ(pack::Reader(options.output).schema().normals, "png");
  const auto normals = packed(Split::val, 1);
  const double x = 2 * 204 / 255.0 - 1, y = 2 * 128 / 255.0 - 1, z = 2 * 26 / 255.0 - 1;
  const double scale = 32767 / std::sqrt(x * x + y * y + z * z);
  EXPECT_THAT(pixel_of(normals, 3, 50),
              ElementsAre(std::lround(x * scale), std::lround(y * scale), std::lround(z * scale)));
  EXPECT_GT(pixel_of(normals, 3, 32)[0], 0) << "source column 40";
  EXPECT_LT(pixel_of(normals, 3, 31)[0], 1000) << "source column 39";
  EXPECT_THAT(pixel_of(normals, 20, 5), ElementsAre(0, 0, 0)) << "source row 30";
  EXPECT_THAT(pixel_of(normals, 0, 0), ElementsAre(0, 0, 0));
}

TEST_F(NormalsFolder, AMaskAndOtherAxes) {
  std::vector<std::uint8_t> mask(kRawPixels, 1);
  std::fill_n(mask.begin(), 31 * kWidth, std::uint8_t{0});
  for (int i = 0; i < 6; ++i) {
    fs::create_directories((raw / "mask") / fs::path(id_of(i)).parent_path());
    io::write_png(raw / ("mask/" + id_of(i) + ".png"), mask, kHeight, kWidth, 1);
  }
  build();
  const auto plain = packed(Split::train, 0);
  describe("file = \"normals/{id}.png\"\nmask = \"mask/{id}.png\"\naxes = \"left,up,in\"\n");
  build();
  const auto normals = packed(Split::train, 0);
  EXPECT_THAT(pixel_of(normals, 10, 40), ElementsAre(0, 0, 0));
  const auto before = pixel_of(plain, 25, 40), after = pixel_of(normals, 25, 40);
  EXPECT_GT(before[0], 10000);
  EXPECT_THAT(after, ElementsAre(-before[0], -before[1], before[2]));

  io::write_png(raw / "mask/a/1.png", std::vector<std::uint8_t>(kRawPixels, 255), kHeight, kWidth, 1);
  fs::remove(raw / "mask/b/5.png");
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("mask/b/5.png': No such file or directory"));
  fs::copy_file(raw / "mask/b/4.png", raw / "mask/b/5.png");
  EXPECT_THAT(error_of([&] { build(); }),
              HasSubstr("normals/a/1.png': a vector of length 0.007 at row 0, column 0, which '"));
}

TEST_F(NormalsFolder, FaultsAreListedAndSkipped) {
  io::write_png(raw / "normals/a/0.png", std::vector<std::uint8_t>(kRawPixels, 9), kHeight, kWidth, 1);
  io::write_png(raw / "normals/a/1.png", std::vector<std::uint8_t>(std::size_t{3} * 40 * 80, 9), 40, 80, 3);
  fs::remove(raw / "normals/a/2.png");
  write_bytes(raw / "normals/b/4.png", test::with_exif(bytes_of(raw / "normals/b/4.png"), test::tiff_block(true, 3)));
  const std::string error = error_of([&] { build(); });
  EXPECT_THAT(error, HasSubstr("the raw data has 4 faults"));
  EXPECT_THAT(error,
              HasSubstr("normals/a/0.png': a PNG of 1 channel of 8 bits, a PNG of 3 channels of 8 bits is expected"));
  EXPECT_THAT(error, HasSubstr("normals/a/1.png': 40 x 80 pixels (height x width), 48 x 80 are expected"));
  EXPECT_THAT(error, HasSubstr("normals/a/2.png': No such file or directory"));
  EXPECT_THAT(error,
              HasSubstr("normals/b/4.png': its EXIF orientation 3 says that the stored pixels are to be turned by "
                        "180 degrees; normals that are stored upright are expected"));
  options.skip_bad = true;
  EXPECT_EQ(build().num_skipped, 4U);
  EXPECT_THAT(pack::Reader(options.output).names(Split::train), ElementsAre("rgb/a/3.png"));
}

TEST_F(NormalsFolder, ThatPointAwayFromTheCameraAreRefused) {
  describe("file = \"normals/{id}.png\"\naxes = \"right,down,out\"\n");
  EXPECT_THAT(error_of([&] { build(); }),
              HasSubstr("the normals of tiny are implausible, nothing was written: 100 % of them point away"));
  EXPECT_THAT(out.entries(), IsEmpty());
}

TEST_F(NormalsFolder, DescriptionSaysWhatIsWrong) {
  const auto error_with = [&](const std::string& keys) {
    return description_error(replaced("[split]", "[normals]\n" + keys + "[split]"));
  };
  EXPECT_THAT(error_with("file = \"n.png\"\n"), HasSubstr("17:8: 'file' must hold {id} once"));
  EXPECT_THAT(error_with("file = \"{id}.png\"\nbits = 8\n"),
              HasSubstr("unknown key 'bits'; known keys of [normals] are file, mask, axes, optional"));
  EXPECT_THAT(error_with("file = \"{id}.png\"\naxes = \"right,down\"\n"),
              HasSubstr("'axes' must be \"right,down,in\", or \"left\", \"up\" or \"out\" in their places"));
  EXPECT_THAT(error_with("file = \"{id}.png\"\noptional = 1\n"), HasSubstr("'optional' must be true or false"));
}

TEST_F(NormalsFolder, OptionalFilesMayBeMissing) {
  std::string text = replaced("void = [0, 9]", "void = [0, 9]\noptional = true");
  text.replace(text.find("bits = 16"), 9, "bits = 16\noptional = true");
  text.replace(text.find("[split]"), 7, "[normals]\nfile = \"normals/{id}.png\"\noptional = true\n[split]");
  write_bytes(raw / "dataset.toml", text);
  build();
  EXPECT_THAT(pack::Reader(options.output).has_labels(Split::train, "seg"), IsEmpty()) << "nothing is missing";
  fs::remove(raw / "label/a/1.png");
  fs::remove(raw / "depth/a/1.png");
  fs::remove(raw / "depth/a/3.png");
  fs::remove(raw / "normals/b/5.png");
  testing::internal::CaptureStderr();
  build();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("1 of 6 images have no file 'label/{id}.png', they are packed without"));
  EXPECT_THAT(log, HasSubstr("2 of 6 images have no file 'depth/{id}.png'"));
  const pack::Report report = pack::verify(options.output);
  EXPECT_THAT(report.faults, IsEmpty());
  EXPECT_THAT(report.labelled_samples,
              ElementsAre(std::pair("depth", 4), std::pair("normals", 5), std::pair("seg", 5)));
  const pack::Reader reader(options.output);
  EXPECT_THAT(reader.has_labels(Split::train, "seg"), ElementsAre(1, 0, 1, 1));
  EXPECT_THAT(reader.has_labels(Split::train, "depth"), ElementsAre(1, 0, 1, 0));
  EXPECT_THAT(reader.has_labels(Split::val, "normals"), ElementsAre(1, 0));
  std::vector<std::uint8_t> labels(std::size_t{32} * 64);
  reader.read_labels(Split::train, 0, 1, 1, labels);
  EXPECT_THAT(labels, testing::Each(pack::kIgnoreLabel));

  fs::create_symlink("nowhere.png", raw / "label/a/1.png");
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("label/a/1.png': it is a link that leads nowhere"));
  fs::remove_all(raw / "normals");
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("no image has a file '" + (raw / "normals/{id}.png").string()));
}

TEST_F(NormalsFolder, WithoutOptionalAMissingFileIsAFault) {
  fs::remove(raw / "label/a/1.png");
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("label/a/1.png': No such file or directory"));
}

}  // namespace
}  // namespace xtasc::preprocess
