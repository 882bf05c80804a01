#include "io/image/exif.hpp"

#include <gtest/gtest.h>

#include <random>

#include "io/exif_fixture.hpp"
#include "io/image/image.hpp"
#include "io/jpeg_file.hpp"
#include "pack/pack_fixture.hpp"

namespace xtasc::io {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::error_of;
using test::TempFolder;
using test::tiff_block;
using test::with_exif;
using test::write_bytes;
using testing::HasSubstr;

constexpr std::int64_t kHeight = 9, kWidth = 14;

template <typename T>
std::vector<T> pattern(std::int64_t channels) {
  std::vector<T> values(static_cast<std::size_t>(kHeight * kWidth * channels));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<T>(i * 937 + i / 5);
  }
  return values;
}

/// An RGB picture as it is to be shown, pixel by pixel: the table of "Orientation" in EXIF 2.32 (CIPA DC-008), 4.6.4.
Image<std::uint8_t> turned_by_the_specification(const Image<std::uint8_t>& stored, int orientation) {
  const bool swaps = orientation >= 5 && orientation <= 8;
  Image<std::uint8_t> out{swaps ? stored.width : stored.height, swaps ? stored.height : stored.width, 3, {}};
  const std::int64_t last_row = stored.height - 1, last_column = stored.width - 1;
  for (std::int64_t y = 0; y < out.height; ++y) {
    for (std::int64_t x = 0; x < out.width; ++x) {
      std::int64_t row = swaps ? x : y, column = swaps ? y : x;  // of the stored picture
      row = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7 ? last_row - row : row;
      column =
          orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8 ? last_column - column : column;
      const auto pixel = stored.pixels.begin() + 3 * (row * stored.width + column);
      out.pixels.insert(out.pixels.end(), pixel, pixel + 3);
    }
  }
  return out;
}

class ExifTest : public testing::Test {
 protected:
  ExifTest() {
    write_png(folder / "rgb.png", pattern<std::uint8_t>(3), kHeight, kWidth, 3);
    write_png(folder / "grey.png", pattern<std::uint8_t>(1), kHeight, kWidth, 1);
    write_png(folder / "deep.png", pattern<std::uint16_t>(1), kHeight, kWidth);
    write_bytes(folder / "photo.jpg", test::jpeg_file(pattern<std::uint8_t>(3), kHeight, kWidth, 3));
  }

  /// A copy of the file with an EXIF block.
  [[nodiscard]] fs::path turned(const std::string& name, const std::string& tiff, bool is_late = false) const {
    const fs::path path = folder / ("turned_" + name);
    write_bytes(path, with_exif(bytes_of(folder / name), tiff, is_late));
    return path;
  }

  const TempFolder folder;
  const ImageRules apply{.orientation = Orientation::apply}, ignore{.orientation = Orientation::ignore};
};

TEST_F(ExifTest, IsAppliedAsTheSpecificationSays) {
  for (const std::string name : {"photo.jpg", "rgb.png", "grey.png"}) {
    const auto stored = read_rgb_image(folder / name);
    EXPECT_EQ(stored.orientation, 1);
    for (const bool is_little : {false, true}) {
      for (const bool is_late : {false, true}) {
        for (int orientation = 0; orientation <= 9; ++orientation) {
          const fs::path path = turned(name, tiff_block(is_little, orientation), is_late);
          const std::string what = fmt::format("{}, orientation {}, late {}", name, orientation, is_late);
          const auto ours = read_rgb_image(path, apply), theirs = turned_by_the_specification(stored, orientation);
          EXPECT_EQ(ours.height, theirs.height) << what;
          EXPECT_EQ(ours.width, theirs.width) << what;
          EXPECT_TRUE(ours.pixels == theirs.pixels) << what;
          EXPECT_EQ(ours.orientation, orientation >= 1 && orientation <= 8 ? orientation : 1) << what;
          EXPECT_TRUE(read_rgb_image(path, ignore).pixels == stored.pixels) << what;
          EXPECT_EQ(read_image_header(path).orientation, ours.orientation) << what;
        }
      }
    }
  }
}

TEST_F(ExifTest, IsAppliedToLabelsAndDepthAndBeforePixelsAreSelected) {
  const Selection selection{{0, 3, 7}, {2, 2, 5, 8}};
  for (int orientation = 2; orientation <= 8; ++orientation) {
    const std::string tiff = tiff_block(true, orientation);
    const auto grey = read_grey8_image(turned("grey.png", tiff), apply);
    const auto deep = read_grey16_image(turned("deep.png", tiff), apply);
    const auto rgb = read_rgb_image(folder / "turned_grey.png", apply);
    const auto picked = read_grey16_image(folder / "turned_deep.png", apply, selection);
    ASSERT_EQ(deep.height, orientation_swaps(orientation) ? kWidth : kHeight);
    const auto values = pattern<std::uint16_t>(1);
    for (std::int64_t row = 0; row < deep.height; ++row) {
      for (std::int64_t column = 0; column < deep.width; ++column) {
        const auto at = static_cast<std::size_t>(row * deep.width + column);
        EXPECT_EQ(grey.pixels[at], rgb.pixels[3 * at]);
        EXPECT_EQ(static_cast<std::uint8_t>(deep.pixels[at]), grey.pixels[at]);  // the patterns are alike
      }
    }
    for (std::size_t i = 0; i < selection.rows.size(); ++i) {
      for (std::size_t j = 0; j < selection.columns.size(); ++j) {
        EXPECT_EQ(picked.pixels[i * selection.columns.size() + j],
                  deep.pixels[static_cast<std::size_t>(selection.rows[i] * deep.width + selection.columns[j])]);
      }
    }
  }
}

TEST_F(ExifTest, IsRefusedUnlessTheRulesSayWhatToDo) {
  ImageRules rules;
  rules.turn_advice = "advice";
  EXPECT_THAT(error_of([&] { std::ignore = read_rgb_image(turned("photo.jpg", tiff_block(true, 3)), rules); }),
              HasSubstr("turned_photo.jpg': its EXIF orientation 3 says that the stored pixels are to be turned by 180 "
                        "degrees; advice"));
  EXPECT_THAT(
      error_of([&] { std::ignore = read_grey8_image(turned("grey.png", tiff_block(false, 2), true)); }),
      HasSubstr("orientation 2 says that the stored pixels are to be mirrored left to right; an upright image"));
  EXPECT_THAT(error_of([&] { std::ignore = read_grey16_image(turned("deep.png", tiff_block(false, 8))); }),
              HasSubstr("to be turned by 90 degrees anticlockwise"));
  EXPECT_EQ(error_of([&] { std::ignore = read_rgb_image(turned("photo.jpg", tiff_block(true, 1))); }), "no error");
  for (int orientation = 1; orientation <= 8; ++orientation) {
    EXPECT_FALSE(orientation_words(orientation).empty());
  }
}

TEST_F(ExifTest, SizesAreThoseOfThePictureAsItIsUsed) {
  const fs::path path = turned("photo.jpg", tiff_block(true, 6));
  ImageRules rules{.height = kWidth, .width = kHeight, .orientation = Orientation::apply};
  EXPECT_EQ(read_rgb_image(path, rules).height, kWidth);
  rules.orientation = Orientation::ignore;
  EXPECT_THAT(
      error_of([&] { std::ignore = read_rgb_image(path, rules); }),
      HasSubstr("9 x 14 pixels (height x width), 14 x 9 are expected; its EXIF orientation 6 says that the stored "
                "pixels are to be turned by 90 degrees clockwise, which would make the sizes fit"));
  rules = {.height = kHeight, .width = kWidth, .orientation = Orientation::apply};
  EXPECT_THAT(
      error_of([&] { std::ignore = read_rgb_image(path, rules); }),
      HasSubstr("14 x 9 pixels (height x width), 9 x 14 are expected; its EXIF orientation 6 says that the stored "
                "pixels are to be turned by 90 degrees clockwise, which was done"));
  rules = {.height = kWidth, .width = kHeight, .swapped_advice = "; advice"};
  EXPECT_THAT(error_of([&] { std::ignore = read_rgb_image(folder / "rgb.png", rules); }),
              HasSubstr("14 x 9 are expected; advice"));
  rules.width = kHeight + 1;
  EXPECT_THAT(error_of([&] { std::ignore = read_rgb_image(folder / "rgb.png", rules); }),
              testing::EndsWith("14 x 10 are expected"));
}

TEST_F(ExifTest, DamagedBlocksAreNoneAndNothingIsReadBeyondThem) {
  for (const bool is_little : {false, true}) {
    const std::string whole = tiff_block(is_little, 6);
    ASSERT_EQ(exif_orientation(whole), 6);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::vector<char> exact(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));  // for ASan
      const int found = exif_orientation({exact.data(), exact.size()});
      EXPECT_EQ(found, size < whole.size() - 4 ? 1 : 6) << size;  // the offset of the next directory may be missing
      EXPECT_EQ(read_rgb_image(turned("photo.jpg", whole.substr(0, size)), apply).orientation, found) << size;
    }
    std::mt19937 random(5);
    for (int round = 0; round < 20'000; ++round) {
      std::vector<char> bad(whole.begin(), whole.end());
      for (int i = 0; i < 3; ++i) {
        bad[random() % bad.size()] = static_cast<char>(random());
      }
      const int found = exif_orientation({bad.data(), bad.size()});
      EXPECT_TRUE(found >= 1 && found <= 8);
    }
  }
  // A JPEG's magic in front, as some writers of PNGs leave it.
  const std::string with_magic = std::string(kExifMagic) + tiff_block(true, 3);
  EXPECT_EQ(read_image_header(turned("rgb.png", with_magic)).orientation, 3);
}

TEST_F(ExifTest, IsFoundWhereverItStands) {
  // Behind 64 KiB of something else, which the header alone does not show.
  const std::string photo = with_exif(bytes_of(folder / "photo.jpg"), tiff_block(true, 8));
  const std::string comment = std::string("\xff\xfe\xff\xff", 4) + std::string(0xfffd, 'c');
  write_bytes(folder / "far.jpg", photo.substr(0, 2) + comment + comment + photo.substr(2));
  EXPECT_EQ(read_image_header(folder / "far.jpg").orientation, 8);
  EXPECT_EQ(read_rgb_image(folder / "far.jpg", apply).height, kWidth);
  // Between frame header and scan.
  const std::string plain = bytes_of(folder / "photo.jpg");
  const auto frame = plain.find("\xff\xc0");
  const std::size_t after = frame + 2 + static_cast<unsigned char>(plain[frame + 3]);
  const std::string segment = photo.substr(2, photo.size() - plain.size());
  write_bytes(folder / "late.jpg", plain.substr(0, after) + segment + plain.substr(after));
  EXPECT_EQ(read_image_header(folder / "late.jpg").orientation, 8);
  EXPECT_TRUE(read_rgb_image(folder / "late.jpg", apply).pixels ==
              turned_by_the_specification(read_rgb_image(folder / "photo.jpg"), 8).pixels);
  // A PNG's last chunk.
  std::vector<std::uint8_t> noise(200 * 300 * 3);
  std::mt19937 random(1);
  std::generate(noise.begin(), noise.end(), [&] { return static_cast<std::uint8_t>(random()); });
  write_png(folder / "large.png", noise, 200, 300, 3);
  const fs::path large = turned("large.png", tiff_block(false, 6), true);
  EXPECT_EQ(read_image_header(large).orientation, 1);
  EXPECT_EQ(read_whole_image_header(large).orientation, 6);
  EXPECT_EQ(read_rgb_image(large, apply).height, 300);
  EXPECT_THAT(error_of([&] { std::ignore = read_rgb_image(large); }), HasSubstr("its EXIF orientation 6"));
}

}  // namespace
}  // namespace xtasc::io
