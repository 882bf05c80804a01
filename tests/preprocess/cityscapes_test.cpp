#include "preprocess/datasets/cityscapes.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <map>

#include "io/exif_fixture.hpp"
#include "io/image/image.hpp"
#include "pack/pack_fixture.hpp"
#include "pack/reader.hpp"
#include "pack/verify.hpp"
#include "preprocess/datasets/cityscapes_classes.hpp"
#include "preprocess/pack_builder.hpp"

namespace xtasc::preprocess {
namespace {

namespace fs = std::filesystem;
using pack::Split;
using test::bytes_of;
using test::error_of;
using test::TempFolder;
using test::write_bytes;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr std::int64_t kHeight = 64;
constexpr std::int64_t kWidth = 128;
constexpr std::size_t kPixels = kHeight * kWidth;

/// A raw tree of five small frames, in the folders and under the names of the download.
class CityscapesTest : public testing::Test {
 protected:
  CityscapesTest() {
    add("train", "aachen", "aachen_000001_000019", 1);
    add("train", "aachen", "aachen_000000_000019", 0);
    add("train", "zurich", "zurich_000000_000019", 2);
    add("val", "lindau", "lindau_000000_000019", 3);
    add("val", "lindau", "lindau_000001_000019", 4);
    options.output = out / "c.h5";
    options.resize.to = {32, 64};
    options.workers = 2;
  }

  static std::uint16_t disparity(std::size_t pixel, std::size_t seed) {
    return static_cast<std::uint16_t>(pixel % 7 == 0 ? 0 : pixel % 7 == 1 ? 1 : pixel * 13 + seed * 101);
  }

  void add(const std::string& split, const std::string& city, const std::string& frame, std::size_t seed,
           bool instances = false) const {
    std::vector<std::uint8_t> image(kPixels * 3), ids(kPixels);
    std::vector<std::uint16_t> instance_ids(kPixels), d(kPixels);
    for (std::size_t p = 0; p < kPixels; ++p) {
      for (std::size_t c = 0; c < 3; ++c) {
        image[3 * p + c] = static_cast<std::uint8_t>(p * 5 + c * 41 + seed);
      }
      ids[p] = static_cast<std::uint8_t>((p + seed) % 34);
      instance_ids[p] = static_cast<std::uint16_t>(ids[p] >= 24 ? ids[p] * 1000 + p % 1000 : ids[p]);
      d[p] = disparity(p, seed);
    }
    const auto file = [&](const char* kind, const char* end) {
      const fs::path path = raw / (std::string(kind) + "/" + split + "/" + city + "/" + frame + end);
      fs::create_directories(path.parent_path());
      return path;
    };
    io::write_png(file("leftImg8bit", "_leftImg8bit.png"), image, kHeight, kWidth, 3);
    if (instances) {
      io::write_png(file("gtFine", "_gtFine_instanceIds.png"), instance_ids, kHeight, kWidth);
    } else {
      io::write_png(file("gtFine", "_gtFine_labelIds.png"), ids, kHeight, kWidth, 1);
      io::write_png(file("gtFine", "_gtFine_color.png"), image, kHeight, kWidth, 3);
    }
    io::write_png(file("disparity", "_disparity.png"), d, kHeight, kWidth);
  }

  BuildResult build() const { return build_pack(CityscapesDataset(raw.path()), options); }
  [[nodiscard]] std::string build_error() const {
    return error_of([&] { build(); });
  }

  const TempFolder raw, out;
  BuildOptions options;
};

TEST(CityscapesClasses, FollowTheListOfLabels) {
  const std::map<int, int> seven = {{7, 0},  {10, 0}, {11, 1}, {16, 1}, {17, 2}, {20, 2}, {21, 3},
                                    {22, 3}, {23, 4}, {24, 5}, {25, 5}, {26, 6}, {33, 6}};
  for (const auto& [id, category] : seven) {
    EXPECT_EQ(kClassOfId7[static_cast<std::size_t>(id)], category) << id;
  }
  const std::vector<int> nineteen = {7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33};
  for (std::size_t id = 0; id < 256; ++id) {
    const auto found = std::find(nineteen.begin(), nineteen.end(), static_cast<int>(id));
    EXPECT_EQ(kClassOfId19[id], found == nineteen.end() ? 255 : found - nineteen.begin()) << id;
    EXPECT_EQ(kClassOfId7[id] == 255, id < 7 || id > 33) << id;
  }
  EXPECT_EQ(label_set_7("x").class_colors.size(), 7U);
  EXPECT_EQ(label_set_19("x").class_colors.size(), 19U);
}

TEST_F(CityscapesTest, PacksBothLabelSetsAndInverseDepth) {
  const BuildResult result = build();
  EXPECT_EQ(result.num_train, 3U);
  EXPECT_EQ(result.num_val, 2U);
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
  const pack::Reader reader(options.output);
  const pack::Schema& schema = reader.schema();
  EXPECT_EQ(schema.num_classes(), 7);
  ASSERT_EQ(schema.label_sets.size(), 2U);
  EXPECT_EQ(schema.label_sets[0].name, "label_7");
  EXPECT_EQ(schema.label_sets[1].name, "label_19");
  EXPECT_EQ(schema.depth_kind, pack::DepthKind::inverse_depth);
  EXPECT_EQ(schema.depth_type, pack::DepthType::uint16);
  EXPECT_THAT(schema.source, HasSubstr("(raw size 64x128)"));
  EXPECT_THAT(reader.names(Split::train), ElementsAre("leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png",
                                                      "leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png",
                                                      "leftImg8bit/train/zurich/zurich_000000_000019_leftImg8bit.png"));
  std::vector<std::uint8_t> image(3 * 32 * 64), seven(32 * 64), nineteen(32 * 64);
  std::vector<std::uint16_t> depth(32 * 64);
  reader.read_images(Split::train, 2, 1, image);
  reader.read_labels(Split::train, 0, 2, 1, seven);
  reader.read_labels(Split::train, 1, 2, 1, nineteen);
  reader.read_depth(Split::train, 2, 1, std::span(depth));
  for (std::size_t row = 0; row < 32; ++row) {
    for (std::size_t column = 0; column < 64; ++column) {
      const std::size_t p = (2 * row + 1) * kWidth + 2 * column + 1;  // floor((2 i + 1) 64 / 64), ... 128 / 128
      const std::size_t at = row * 64 + column;
      ASSERT_EQ(image[3 * at + 1], static_cast<std::uint8_t>(p * 5 + 41 + 2));
      ASSERT_EQ(seven[at], kClassOfId7[(p + 2) % 34]);
      ASSERT_EQ(nineteen[at], kClassOfId19[(p + 2) % 34]);
      const double d = disparity(p, 2);
      const float expected = d <= 1 ? 0.0F : static_cast<float>(std::min((d - 1) / 65536, 32257.0 / 65536));
      ASSERT_FLOAT_EQ(static_cast<float>(schema.depth_scale * depth[at]), expected);
    }
  }
}

TEST_F(CityscapesTest, LabelsFollowFromInstancesWhereThereIsNothingElse) {
  build();
  const std::string with_labels = pack::Reader(options.output).schema().content_digest;
  fs::remove_all(raw / "gtFine");
  add("train", "aachen", "aachen_000000_000019", 0, true);
  add("train", "aachen", "aachen_000001_000019", 1, true);
  add("train", "zurich", "zurich_000000_000019", 2, true);
  add("val", "lindau", "lindau_000000_000019", 3, true);
  add("val", "lindau", "lindau_000001_000019", 4, true);
  options.output = out / "d.h5";
  build();
  EXPECT_EQ(pack::Reader(options.output).schema().content_digest, with_labels);
}

TEST_F(CityscapesTest, OriginalSizeThroughEveryFilterOfPng) {
  // 1024 x 2048 to 128 x 256 keeps row 8 i + 4, column 8 j + 4, whatever the rows in between are coded against.
  fs::remove_all(raw / "leftImg8bit");
  fs::remove_all(raw / "gtFine");
  fs::remove_all(raw / "disparity");
  std::vector<std::uint8_t> image(1024 * 2048 * 3), ids(1024 * 2048, 7);
  std::vector<std::uint16_t> d(1024 * 2048);
  for (std::size_t p = 0; p < ids.size(); ++p) {
    const std::size_t row = p / 2048, column = p % 2048;
    for (std::size_t c = 0; c < 3; ++c) {
      image[3 * p + c] = static_cast<std::uint8_t>(row * column / 97 + c * 50 + (row * 7 + column * 3) % 5);
    }
    d[p] = static_cast<std::uint16_t>(row * 17 + column);
  }
  for (const std::string split : {"train", "val"}) {
    const std::string frame = split + "/x/x_" + split;
    for (const char* kind : {"leftImg8bit", "gtFine", "disparity"}) {
      fs::create_directories(raw / (std::string(kind) + "/" + split + "/x"));
    }
    io::write_png(raw / ("leftImg8bit/" + frame + "_leftImg8bit.png"), image, 1024, 2048, 3);
    io::write_png(raw / ("gtFine/" + frame + "_gtFine_labelIds.png"), ids, 1024, 2048, 1);
    io::write_png(raw / ("disparity/" + frame + "_disparity.png"), d, 1024, 2048);
  }
  const CityscapesDataset dataset(raw.path());
  EXPECT_EQ(dataset.schema().source, "Cityscapes: leftImg8bit, gtFine, disparity");
  const RawSample sample = dataset.decode(Split::val, 0, {{128, 256}});
  const auto& depth = std::get<std::vector<std::uint16_t>>(sample.depth);
  for (std::size_t i = 0; i < 128; ++i) {
    for (std::size_t j = 0; j < 256; ++j) {
      const std::size_t p = (8 * i + 4) * 2048 + 8 * j + 4;
      ASSERT_EQ(sample.image[3 * (i * 256 + j) + 2], image[3 * p + 2]);
      ASSERT_EQ(depth[i * 256 + j], std::min<int>(std::max(int{d[p]} - 1, 0), 32257));
    }
  }
}

TEST_F(CityscapesTest, ListsEveryFaultyFileBeforePacking) {
  const fs::path aachen = "train/aachen";
  fs::remove(raw.path() / "gtFine" / aachen / "aachen_000000_000019_gtFine_labelIds.png");
  io::write_png(raw.path() / "disparity" / aachen / "aachen_000001_000019_disparity.png",
                std::vector<std::uint8_t>(kPixels), kHeight, kWidth, 1);
  io::write_png(raw / "leftImg8bit/train/zurich/zurich_000000_000019_leftImg8bit.png", std::vector<std::uint8_t>(300),
                10, 10, 3);
  fs::remove(raw / "leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png");
  fs::copy_file(raw / "leftImg8bit/val/lindau/lindau_000001_000019_leftImg8bit.png",
                raw / "leftImg8bit/val/lindau/bochum_000000_000019_leftImg8bit.png");
  fs::copy(raw / "leftImg8bit/train/zurich", raw / "leftImg8bit/val/zurich");
  write_bytes(raw / "disparity/val/lindau/lindau_000001_000019_disparity.png",
              "version https://git-lfs.github.com/spec/v1\n");
  options.report = out / "faults.txt";
  const std::string error = build_error();
  EXPECT_THAT(error, StartsWith("the raw data has 8 faults, nothing was written; all are in '"));
  for (const char* part :
       {"bochum_000000_000019_leftImg8bit.png' is of another city than its folder, lindau_*_leftImg8bit.png is "
        "expected",
        "val/zurich/zurich_000000_000019_leftImg8bit.png' is in train already",
        "lindau_000000_000019_gtFine_labelIds.png' has no image, '", "lindau_000000_000019_disparity.png' has no image",
        "aachen_000000_000019_gtFine_labelIds.png': No such file or directory",
        "aachen_000001_000019_disparity.png': a PNG of 1 channel of 8 bits, a grey PNG of 16 bits is expected",
        "zurich_000000_000019_leftImg8bit.png': 10 x 10 pixels (height x width), 64 x 128 are expected",
        "lindau_000001_000019_disparity.png': found a Git LFS pointer"}) {
    EXPECT_THAT(error, HasSubstr(part));
    EXPECT_THAT(bytes_of(options.report), HasSubstr(part));
  }
  EXPECT_THAT(out.entries(), ElementsAre("faults.txt"));
}

TEST_F(CityscapesTest, ListsWhatDecodingFinds) {
  std::vector<std::uint8_t> ids(kPixels, 7);
  ids[5] = 34;  // row 0 is not kept by the resize
  io::write_png(raw / "gtFine/train/zurich/zurich_000000_000019_gtFine_labelIds.png", ids, kHeight, kWidth, 1);
  const fs::path broken = raw / "leftImg8bit/val/lindau/lindau_000001_000019_leftImg8bit.png";
  std::string bytes = bytes_of(broken);
  bytes[bytes.size() / 2] ^= 1;
  write_bytes(broken, bytes);
  const std::string error = build_error();
  EXPECT_THAT(error, StartsWith("2 of 5 samples cannot be packed, nothing was written"));
  EXPECT_THAT(error, HasSubstr("label id 34 at row 0, column 5; 0 to 33 are known"));
  EXPECT_THAT(error, HasSubstr("lindau_000001_000019_leftImg8bit.png': damaged PNG, wrong CRC in the chunk at byte"));
  EXPECT_THAT(out.entries(), IsEmpty());
}

TEST_F(CityscapesTest, SkipBadPacksTheRestAndSaysSo) {
  fs::remove(raw / "disparity/train/zurich/zurich_000000_000019_disparity.png");
  const fs::path broken = raw / "leftImg8bit/val/lindau/lindau_000001_000019_leftImg8bit.png";
  write_bytes(broken, bytes_of(broken).substr(0, 100));
  options.skip_bad = true;
  options.report = out / "faults.txt";
  const BuildResult result = build();
  EXPECT_EQ(result.num_train, 2U);
  EXPECT_EQ(result.num_val, 1U);
  EXPECT_EQ(result.num_skipped, 2U);
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
  const pack::Reader reader(options.output);
  EXPECT_THAT(reader.schema().skipped,
              ElementsAre(HasSubstr("zurich_000000_000019_disparity.png': No such file"),
                          HasSubstr("lindau_000001_000019_leftImg8bit.png': truncated PNG, it ends after 100 bytes")));
  EXPECT_THAT(reader.names(Split::val), ElementsAre("leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png"));
  const std::string report = bytes_of(options.report);
  EXPECT_EQ(std::count(report.begin(), report.end(), '\n'), 2);
  options.overwrite = true;
  fs::remove(raw / "disparity/val/lindau/lindau_000000_000019_disparity.png");
  EXPECT_THAT(build_error(), HasSubstr("the val split of cityscapes has no samples without a fault"));
  EXPECT_EQ(pack::Reader(options.output).schema().skipped.size(), 2U);  // the good old pack is untouched
}

TEST_F(CityscapesTest, JunkIsPassedOverInOneLineAndChangesNothing) {
  const std::string digest = build().schema.content_digest;
  for (const char* file : {"leftImg8bit/train/aachen/Thumbs.db", "leftImg8bit/val/lindau/desktop.ini",
                           "leftImg8bit/train/aachen/filelist.txt", "leftImg8bit/train/.DS_Store",
                           "leftImg8bit/train/aachen/._aachen_000000_000019_leftImg8bit.png", "gtFine/val/ehthumbs.db",
                           "leftImg8bit/train/aachen/@eaDir/x.png", "disparity/train/aachen/.nfs0001",
                           "leftImg8bit/train/aachen/aachen_000009_000019_leftImg8bit.png.part"}) {
    write_bytes(raw / file, "x");
  }
  options.output = out / "d.h5";
  testing::internal::CaptureStderr();
  const BuildResult result = build();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(result.schema.content_digest, digest);
  EXPECT_THAT(log, HasSubstr("passed over 9 entries that are no data of the set: leftImg8bit/train/.DS_Store, "));
  EXPECT_EQ(log.find("passed over"), log.rfind("passed over"));
}

TEST_F(CityscapesTest, NothingThatMayBeDataIsPassedOver) {
  write_bytes(raw / "leftImg8bit/train/aachen/aachen_000003_000019_leftImg8bit.PNG", "x");
  write_bytes(raw / "leftImg8bit/train/aachen/aachen_000004_000019_leftImg8bit.jpg", "x");
  write_bytes(raw / "leftImg8bit/train/aachen_000005_000019_leftImg8bit.png", "x");
  fs::create_directories(raw / "leftImg8bit/train/aachen/aachen_000006_000019_leftImg8bit.png");
  fs::create_symlink("/gone/bochum", raw / "leftImg8bit/train/bochum");
  write_bytes(raw / "leftImg8bit/val/zurich/zurich_000000_000019_leftImg8bit.png",
              test::with_exif(bytes_of(raw / "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png"),
                              test::tiff_block(true, 3)));
  const std::string error = build_error();
  for (const char* part :
       {"_leftImg8bit.PNG' is not named as an image of Cityscapes", "_leftImg8bit.jpg' is not named as an image",
        "aachen_000005_000019_leftImg8bit.png' is in no city's folder, leftImg8bit/train/CITY/CITY_*_leftImg8bit.png "
        "is",
        "aachen_000006_000019_leftImg8bit.png': it is a folder, a PNG or JPEG image is expected",
        "bochum' is a link that leads nowhere (/gone/bochum), a city's folder is expected"}) {
    EXPECT_THAT(error, HasSubstr(part));
  }
  const fs::path image = raw / "leftImg8bit/train/zurich/zurich_000000_000019_leftImg8bit.png";
  write_bytes(image, test::with_exif(bytes_of(image), test::tiff_block(true, 3)));
  EXPECT_THAT(build_error(),
              HasSubstr("its EXIF orientation 3 says that the stored pixels are to be turned by 180 degrees; "
                        "those of Cityscapes are upright"));
}

TEST_F(CityscapesTest, NamesAreUtf8AndLabelsAreIds) {
  fs::rename(raw / "gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png",
             raw / "gtFine/val/lindau/lindau_000000_000019_gtFine_labelTrainIds.png");
  add("train", "k\xf6ln", "k\xf6ln_000000_000019", 5);
  options.skip_bad = true;
  EXPECT_EQ(build().num_skipped, 2U);
  EXPECT_THAT(
      pack::Reader(options.output).schema().skipped,
      ElementsAre(HasSubstr("'leftImg8bit/train/k\\xf6ln/k\\xf6ln_000000_000019_leftImg8bit.png' is not named in "
                            "UTF-8, as the names in a pack are: rename it"),
                  HasSubstr("labelIds.png': No such file or directory; labelTrainIds are there, labelIds are "
                            "needed")));
}

TEST_F(CityscapesTest, LinkedCitiesArePackedAndTurnedSetsAreNot) {
  const std::string digest = build().schema.content_digest;
  fs::rename(raw / "leftImg8bit/train/aachen", raw / "elsewhere");
  fs::create_directory_symlink(raw / "elsewhere", raw / "leftImg8bit/train/aachen");
  options.output = out / "d.h5";
  EXPECT_EQ(build().schema.content_digest, digest);
  for (const char* split : {"train", "val"}) {
    for (const auto& entry : fs::recursive_directory_iterator(raw / (std::string("leftImg8bit/") + split),
                                                              fs::directory_options::follow_directory_symlink)) {
      if (entry.is_regular_file()) {
        io::write_png(entry.path(), std::vector<std::uint8_t>(kPixels * 3), kWidth, kHeight, 3);
      }
    }
  }
  EXPECT_THAT(build_error(),
              HasSubstr("are 128 x 64 (height x width), higher than wide; those of Cityscapes are 1024 x "
                        "2048: were they turned?"));
}

TEST_F(CityscapesTest, DisparitiesThatWereDividedAreRefused) {
  for (const auto& entry : fs::recursive_directory_iterator(raw / "disparity")) {
    if (entry.is_regular_file()) {
      io::write_png(entry.path(), std::vector<std::uint16_t>(kPixels, 120), kHeight, kWidth);
    }
  }
  EXPECT_THAT(build_error(),
              HasSubstr("the depth of cityscapes is implausible, nothing was written: no depth is above "
                        "0.001816, and the inverse depth of Cityscapes reaches 0.4922: were the disparities "
                        "divided by 256 before? inverse depth is expected"));
  EXPECT_THAT(out.entries(), IsEmpty());
}

TEST_F(CityscapesTest, MoreThanTwentyFaultsPointToTheReport) {
  for (std::size_t i = 0; i < 25; ++i) {
    write_bytes(raw / ("leftImg8bit/train/aachen/stray" + std::to_string(i) + ".png"), "x");
  }
  EXPECT_THAT(build_error(),
              StartsWith("the raw data has 25 faults, nothing was written; --report FILE lists them all"));
}

TEST_F(CityscapesTest, TestSplitAndMissingFoldersAreExplained) {
  fs::remove_all(raw / "leftImg8bit/val");
  fs::remove_all(raw / "gtFine/val");
  fs::remove_all(raw / "disparity/val");
  EXPECT_THAT(build_error(), HasSubstr("the val split of cityscapes has no samples"));
  fs::rename(raw / "leftImg8bit/train", raw / "leftImg8bit/test");
  EXPECT_THAT(build_error(), HasSubstr("holds images of test/ only, and the labels of test are not public"));
  fs::remove_all(raw / "disparity");
  EXPECT_THAT(build_error(), HasSubstr("disparity' is missing"));
  write_bytes(raw / "disparity_trainvaltest.zip", "PK");
  EXPECT_THAT(build_error(), HasSubstr("disparity' is missing; disparity_trainvaltest.zip is there: unpack it"));
  EXPECT_THAT(error_of([&] { CityscapesDataset(raw / "nowhere"); }), HasSubstr("there is no folder '"));
}

TEST_F(CityscapesTest, AnyNumberOfWorkersGivesTheSameBytes) {
  ::setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
  build();
  const std::string two = bytes_of(options.output);
  for (const int workers : {1, 3, 8}) {
    options.workers = workers;
    options.output = out / (std::to_string(workers) + ".h5");
    build();
    EXPECT_TRUE(bytes_of(options.output) == two) << workers;
  }
  ::unsetenv("SOURCE_DATE_EPOCH");
}

}  // namespace
}  // namespace xtasc::preprocess
