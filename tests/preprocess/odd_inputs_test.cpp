#include <gtest/gtest.h>
#include <sys/stat.h>

#include "io/jpeg_file.hpp"
#include "io/png_file.hpp"
#include "pack/reader.hpp"
#include "preprocess/datasets/mtan.hpp"
#include "preprocess/datasets/nyuv2.hpp"
#include "preprocess/folder_fixture.hpp"

namespace xtasc::preprocess {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::error_of;
using test::write_bytes;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST_F(FolderTest, ListsOfEveryEditorAreRead) {
  const std::string digest = build().schema.content_digest;
  options.overwrite = true;
  write_bytes(raw / "train.txt",
              "\xef\xbb\xbf"
              "a/0\r\na/1\r\n\r\na/2\t\r\na/3");
  write_bytes(raw / "dataset.toml", "\xef\xbb\xbf" + std::string(kDescription));
  EXPECT_EQ(build().schema.content_digest, digest);
  std::string utf16 = "\xff\xfe";
  for (const char c : std::string("b/4\nb/5\n")) {
    utf16 += {c, '\0'};
  }
  write_bytes(raw / "val.txt", utf16);
  EXPECT_EQ(error_of([&] { build(); }),
            fmt::format("'{}': it is UTF-16: save it as UTF-8", (raw / "val.txt").string()));
  write_bytes(raw / "val.txt", "b/4\nb/caf\xe9\n");
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("val.txt': its line 2 is not UTF-8 (\"b/caf\\xe9\"): save it"));
}

/// Of a list whose ids lead to no file.
TEST_F(FolderTest, IdsThatAreAlmostRightGetAHint) {
  const std::pair<const char*, const char*> lists[] = {
      {"b/4.png\nb/5.png\n", "No such file or directory; ids are without extension: 'b/4'"},
      {"b\\4\nb/5\n", "No such file or directory; ids have / between folders: 'b/4'"},
      {"b/4 b/4\nb/5\n", "No such file or directory; one id a line, and nothing else: 'b/4'"},
      {"# made by split.py\nb/4\n", "No such file or directory; a list has ids alone, and no comments"}};
  for (const auto& [list, hint] : lists) {
    write_bytes(raw / "val.txt", list);
    EXPECT_THAT(error_of([&] { build(); }), HasSubstr(hint));
  }
  write_bytes(raw / "val.txt", "b/6\n");
  EXPECT_THAT(error_of([&] { build(); }), Not(HasSubstr("directory; ")));
}

TEST_F(FolderTest, LabelsWithPalettesAndFewBitsAreTheSamePack) {
  const std::string digest = build().schema.content_digest;
  const auto four = io::read_grey8_image(raw / "label/b/4.png").pixels;  // 0 to 3
  options.overwrite = true;
  for (const int bit_depth : {2, 4, 8}) {
    for (const bool has_palette : {false, true}) {
      write_bytes(raw / "label/b/4.png", test::one_channel_png(four, kHeight, kWidth, bit_depth, has_palette));
      EXPECT_EQ(build().schema.content_digest, digest) << bit_depth << has_palette;
    }
  }
  std::vector<std::uint8_t> unknown = four;
  unknown[81] = 12;
  write_bytes(raw / "label/b/4.png", test::one_channel_png(unknown, kHeight, kWidth, 4, true));
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("label/b/4.png': label 12 at row 1, column 1; classes are 1 to 3"));
  write_bytes(raw / "label/b/4.png", bytes_of(raw / "rgb/b/4.png"));
  EXPECT_THAT(error_of([&] { build(); }),
              HasSubstr("label/b/4.png': a PNG of 3 channels of 8 bits, a PNG of one channel"));
}

TEST_F(FolderTest, HarmlessOdditiesAreToldInOneLine) {
  const auto pixels = io::read_rgb_image(raw / "rgb/a/0.png").pixels;
  const std::string jpeg = test::jpeg_file(pixels, kHeight, kWidth, 3);
  for (const char* id : {"a/0", "a/1", "b/5"}) {
    write_bytes(raw / (std::string("rgb/") + id + ".png"), jpeg);
  }
  const std::string digest = build().schema.content_digest;
  for (const char* id : {"a/0", "b/5"}) {
    write_bytes(raw / (std::string("rgb/") + id + ".png"), jpeg + "a film");
  }
  options.overwrite = true;
  options.workers = 3;
  testing::internal::CaptureStderr();
  EXPECT_EQ(build().schema.content_digest, digest);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("2 pictures are odd in a way that no pixel depends on: 'rgb/a/0.png': 6 bytes behind its end "
                        "mark, ..."));
}

TEST_F(FolderTest, WhatIsNoFileBlocksNothing) {
  fs::remove(raw / "rgb/a/1.png");
  ASSERT_EQ(::mkfifo((raw / "rgb/a/1.png").c_str(), 0666), 0);
  EXPECT_THAT(error_of([&] { build(); }),
              HasSubstr("rgb/a/1.png': it is a named pipe, a PNG or JPEG image is expected"));
  fs::remove(raw / "train.txt");
  ASSERT_EQ(::mkfifo((raw / "train.txt").c_str(), 0666), 0);
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("train.txt': it is a named pipe, a list of ids, one a line, is"));
  fs::remove(raw / "dataset.toml");
  ASSERT_EQ(::mkfifo((raw / "dataset.toml").c_str(), 0666), 0);
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("dataset.toml': it is a named pipe, a description (TOML) is"));
  EXPECT_THAT(out.entries(), IsEmpty());
}

TEST(RawFolders, ArchivesThatWereNotUnpackedAreNamed) {
  const test::TempFolder raw;
  write_bytes(raw / "nyu_depth_v2_labeled.zip", "PK");
  EXPECT_THAT(error_of([&] { Nyuv2Dataset(raw.path()); }),
              HasSubstr("nyu_depth_v2_labeled.mat' is missing; nyu_depth_v2_labeled.zip is there: unpack it"));
  fs::rename(raw / "nyu_depth_v2_labeled.zip", raw / "NYUv2.tar.gz");
  EXPECT_THAT(error_of([&] { MtanDataset(raw.path(), MtanKind::nyuv2, std::nullopt); }),
              HasSubstr("train/image'; NYUv2.tar.gz is there: unpack it"));
}

}  // namespace
}  // namespace xtasc::preprocess
