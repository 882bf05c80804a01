#include <gtest/gtest.h>

#include "io/exif_fixture.hpp"
#include "io/image/image.hpp"
#include "pack/pack_fixture.hpp"
#include "pack/reader.hpp"
#include "pack/verify.hpp"
#include "preprocess/datasets/folder.hpp"
#include "preprocess/folder_fixture.hpp"
#include "preprocess/pack_builder.hpp"

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

void turn_by_180_degrees(const fs::path& path) {
  auto image = io::read_rgb_image(path);
  std::vector<std::uint8_t> turned;
  for (std::size_t p = image.pixels.size() / 3; p-- > 0;) {
    turned.insert(turned.end(), &image.pixels[3 * p], &image.pixels[3 * p] + 3);
  }
  io::write_png(path, turned, image.height, image.width, 3);
  write_bytes(path, test::with_exif(bytes_of(path), test::tiff_block(true, 3)));
}

TEST_F(FolderTest, PicturesThatExifTurnsNeedAWord) {
  build();
  const std::string upright = pack::Reader(options.output).schema().content_digest;
  options.overwrite = true;
  const std::string apply = replaced("[image]", "orientation = \"apply\"\n[image]");
  write_bytes(raw / "dataset.toml", apply);
  build();
  EXPECT_EQ(pack::Reader(options.output).schema().content_digest, upright) << "nothing is turned: the same pack";
  EXPECT_EQ(pack::Reader(options.output).schema().orientation, "");

  turn_by_180_degrees(raw / "rgb/a/1.png");
  write_bytes(raw / "label/b/4.png",
              test::with_exif(bytes_of(raw / "label/b/4.png"), test::tiff_block(false, 6), true));
  write_bytes(raw / "dataset.toml", kDescription);
  options.output = out / "b.h5";
  const std::string error = error_of([&] { build(); });
  EXPECT_THAT(error, testing::StartsWith("the raw data has 2 faults"));
  EXPECT_THAT(error,
              HasSubstr("rgb/a/1.png': its EXIF orientation 3 says that the stored pixels are to be turned by 180 "
                        "degrees; say in '"));
  EXPECT_THAT(error,
              HasSubstr("dataset.toml' what is right: orientation = \"apply\" (turned, as viewers and OpenCV show "
                        "it) or orientation = \"ignore\" (the stored pixels)"));
  EXPECT_THAT(error, HasSubstr("label/b/4.png': its EXIF orientation 6"));

  write_bytes(raw / "dataset.toml", apply);
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("label/b/4.png': 80 x 48 pixels (height x width), 48 x 80 are"));
  write_bytes(raw / "dataset.toml", replaced("[image]", "orientation = \"ignore\"\n[image]"));
  build();
  EXPECT_EQ(pack::Reader(options.output).schema().orientation, "ignore");
  fs::copy_file(raw / "label/b/5.png", raw / "label/b/4.png", fs::copy_options::overwrite_existing);
  write_bytes(raw / "dataset.toml", apply);
  options.workers = 3;
  testing::internal::CaptureStderr();
  build();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("1 sample has files that EXIF turns: orientation = \"apply\", they were turned"));
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
  const pack::Reader turned(options.output), plain(out / "a.h5");
  EXPECT_EQ(turned.schema().orientation, "apply");
  EXPECT_NE(turned.schema().content_digest, upright);
  std::vector<std::uint8_t> a(32 * 64 * 3), b(a.size());
  turned.read_images(Split::train, 1, 1, a);
  plain.read_images(Split::train, 1, 1, b);
  EXPECT_EQ(a, b);
}

TEST_F(FolderTest, QuarterTurnsChangeHeightAndWidthWhereverExifStands) {
  const auto portrait = [&](const char* file, bool is_late) {
    write_bytes(raw / file, test::with_exif(bytes_of(raw / file), test::tiff_block(true, 8), is_late));
  };
  for (const char* kind : {"rgb/a/0.png", "label/a/0.png", "depth/a/0.png"}) {
    portrait(kind, true);
  }
  write_bytes(raw / "dataset.toml", replaced("[image]", "orientation = \"apply\"\n[image]"));
  EXPECT_EQ(error_of([&] { build(); }), "no error");
  portrait("rgb/b/4.png", true);  // its label is as the stored pixels are
  options.overwrite = true;
  EXPECT_THAT(
      error_of([&] { build(); }),
      HasSubstr("label/b/4.png': 48 x 80 pixels (height x width), 80 x 48 are expected; the EXIF orientation 8 of "));
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("orientation = \"ignore\" would make the sizes fit"));
}

TEST_F(FolderTest, WhatIsNotPackedIsTold) {
  fs::create_directories(raw / "rgb/c");
  fs::copy_file(raw / "rgb/a/0.png", raw / "rgb/c/9.PNG");
  fs::copy_file(raw / "rgb/a/0.png", raw / "rgb/a/9.png");
  write_bytes(raw / "rgb/Thumbs.db", "x");
  write_bytes(raw / "rgb/a/._0.png", "x");
  testing::internal::CaptureStderr();
  build();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("2 images are left out, no split list names them: rgb/a/9.png, ..."));
  fs::remove(raw / "rgb/b/5.png");
  fs::create_directories(raw / "rgb/b/5.png");
  fs::remove(raw / "depth/b/4.png");
  fs::create_symlink("gone", raw / "depth/b/4.png");
  options.output = out / "b.h5";
  const std::string error = error_of([&] { build(); });
  EXPECT_THAT(error, HasSubstr("rgb/b/5.png': it is a folder, a PNG or JPEG image is expected"));
  EXPECT_THAT(error, HasSubstr("depth/b/4.png': it is a link that leads nowhere (gone)"));
}

TEST_F(FolderTest, ImagesInBothSplitsAreTold) {
  fs::remove(raw / "rgb/b/5.png");
  fs::create_symlink("../a/2.png", raw / "rgb/b/5.png");
  testing::internal::CaptureStderr();
  build();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("1 image of val is in train too, pixel for pixel: rgb/b/5.png is rgb/a/2.png"));
  write_bytes(raw / "val.txt", "b/4\na//1\n./a/0\n");
  options.output = out / "b.h5";
  const std::string error = error_of([&] { build(); });
  EXPECT_THAT(error, HasSubstr("val.txt:2: 'a//1' is listed already (train.txt)"));
  EXPECT_THAT(error, HasSubstr("val.txt:3: './a/0' is listed already (train.txt)"));
}

TEST_F(FolderTest, DepthOfAnImplausibleUnitIsDoubted) {
  for (const auto& [divisor, doubt] : {std::pair{"1", "more than 1 km: are these millimetres?"},
                                       std::pair{"1000000", "less than 10 cm: are these kilometres?"}}) {
    write_bytes(raw / "dataset.toml", replaced("divisor = 1000", std::string("divisor = ") + divisor));
    options.overwrite = true;
    testing::internal::CaptureStderr();
    build();
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr(doubt));
  }
}

TEST_F(FolderTest, ASplitThatTeachesNothingIsTold) {
  for (const char* id : {"b/4", "b/5"}) {
    io::write_png(raw / (std::string("label/") + id + ".png"), std::vector<std::uint8_t>(kHeight * kWidth), kHeight,
                  kWidth, 1);
    io::write_png(raw / (std::string("depth/") + id + ".png"), std::vector<std::uint16_t>(kHeight * kWidth), kHeight,
                  kWidth);
  }
  testing::internal::CaptureStderr();
  build();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("warning: the val split has no pixel with a class in label"));
  EXPECT_THAT(log, HasSubstr("warning: the val split has no pixel with a valid depth"));
  const pack::Report report = pack::verify(options.output);
  EXPECT_THAT(report.faults, IsEmpty());
  EXPECT_THAT(report.notes, ElementsAre("the val split has no pixel with a class in label",
                                        "the val split has no pixel with a valid depth"));
}

}  // namespace
}  // namespace xtasc::preprocess
