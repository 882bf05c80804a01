#include <gtest/gtest.h>

#include "io/content.hpp"
#include "io/image/image.hpp"
#include "io/jpeg_file.hpp"
#include "io/png_file.hpp"
#include "pack/pack_fixture.hpp"

namespace xtasc::io {
namespace {

using test::error_of;
using test::one_channel_png;
using test::TempFolder;
using test::write_bytes;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t kHeight = 7, kWidth = 13;

std::vector<std::uint8_t> numbers(int bit_depth) {
  std::vector<std::uint8_t> values(kHeight * kWidth);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<std::uint8_t>((i * 37 + i / 11) & ((1U << bit_depth) - 1));
  }
  return values;
}

TEST(LabelImage, IsTheNumberThatIsStored) {
  const TempFolder folder;
  for (const int bit_depth : {1, 2, 4, 8}) {
    const auto values = numbers(bit_depth);
    for (const bool has_palette : {false, true}) {
      for (const bool is_interlaced : {false, true}) {
        write_bytes(folder / "a.png", one_channel_png(values, kHeight, kWidth, bit_depth, has_palette, is_interlaced));
        EXPECT_EQ(read_label_image(folder / "a.png").pixels, values) << bit_depth << has_palette << is_interlaced;
        const auto picked = read_label_image(folder / "a.png", {}, {{2, 5}, {0, 12}});
        EXPECT_THAT(picked.pixels, ElementsAre(values[26], values[38], values[65], values[77]));
        ImageRules rules;
        rules.height = kHeight;
        rules.width = kWidth + 1;
        EXPECT_THAT(error_of([&] { std::ignore = read_label_image(folder / "a.png", rules); }),
                    HasSubstr("7 x 13 pixels (height x width), 7 x 14 are expected"));
        const bool is_plain = bit_depth == 8 && !has_palette;
        EXPECT_EQ(error_of([&] { std::ignore = read_grey8_image(folder / "a.png"); }) == "no error", is_plain);
      }
    }
  }
}

TEST(LabelImage, DamageIsAnError) {
  const TempFolder folder;
  const std::string good = one_channel_png(numbers(4), kHeight, kWidth, 4, true);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 4);
    write_bytes(folder / "a.png", bad);
    EXPECT_NE(error_of([&] { std::ignore = read_label_image(folder / "a.png"); }), "no error") << i;
    write_bytes(folder / "a.png", good.substr(0, i));
    EXPECT_NE(error_of([&] { std::ignore = read_label_image(folder / "a.png"); }), "no error") << i;
  }
}

TEST(LabelImage, ColoursAreNoClasses) {
  const TempFolder folder;
  write_png(folder / "rgb.png", std::vector<std::uint8_t>(18), 2, 3, 3);
  EXPECT_THAT(
      error_of([&] { std::ignore = read_label_image(folder / "rgb.png"); }),
      HasSubstr("rgb.png': a PNG of 3 channels of 8 bits, a PNG of one channel of 8 bits or fewer is expected: save "
                "each pixel's class as a number, grey or with a palette whose index it is"));
  write_png(folder / "deep.png", std::vector<std::uint16_t>(6), 2, 3);
  EXPECT_THAT(error_of([&] { std::ignore = read_label_image(folder / "deep.png"); }),
              HasSubstr("a PNG of 1 channel of 16 bits, a PNG of one channel of 8 bits or fewer is expected"));
  write_bytes(folder / "a.jpg", test::jpeg_file(std::vector<std::uint8_t>(64), 8, 8, 1));
  EXPECT_THAT(
      error_of([&] { std::ignore = read_label_image(folder / "a.jpg"); }),
      HasSubstr("a JPEG of 1 channel of 8 bits, a PNG of one channel of 8 bits or fewer is expected: a JPEG changes "
                "labels"));
}

TEST(Image, PicturesOfOtherFormatsAreNamed) {
  using namespace std::string_literals;
  const TempFolder folder;
  const std::pair<std::string, const char*> files[] = {{"RIFF\x10\0\0\0WEBPVP8 "s, "WebP"},
                                                       {"II*\0\x08\0\0\0"s, "TIFF"},
                                                       {"MM\0*\0\0\0\x08"s, "TIFF"},
                                                       {"BM\x36\0\0\0\0\0\0\0\x36\0\0\0"s, "BMP"},
                                                       {"GIF89a\x01\0"s, "GIF"},
                                                       {"\0\0\0\x1c"
                                                        "ftypavif\0\0\0\0"s,
                                                        "AVIF"},
                                                       {"\0\0\0\x18"
                                                        "ftypheic\0\0\0\0"s,
                                                        "HEIC"},
                                                       {"\0\0\0\x0cjP  \r\n\x87\n\0"s, "JPEG 2000"},
                                                       {"\xff\x4f\xff\x51\0\x2f"s, "JPEG 2000"},
                                                       {"\xff\x0a\0\0"s, "JPEG XL"},
                                                       {"P6\n2 2\n255\n"s, "Netpbm"},
                                                       {"\x76\x2f\x31\x01\x02\0\0\0"s, "OpenEXR"}};
  for (const auto& [bytes, name] : files) {
    write_bytes(folder / "a.png", bytes);
    EXPECT_EQ(
        error_of([&] { std::ignore = read_image_header(folder / "a.png"); }),
        fmt::format("cannot read '{}': found a picture of the format {}, a PNG or JPEG image is expected: save it as "
                    "PNG",
                    (folder / "a.png").string(), name));
  }
  for (const std::string& bytes : {"PK\x03\x04"s, "BM is text"s, "P6"s, "RIFF\x10\0\0\0WAVE"s}) {
    EXPECT_EQ(describe_content(bytes).find("a picture"), std::string::npos) << bytes;
  }
}

TEST(Image, OtherFilesAreNamed) {
  using namespace std::string_literals;
  const std::string npy_in_zip = "PK\x03\x04"s + std::string(22, '\0') + "\x05\0\0\0"s + "a.npy" + "\x93NUMPY";
  const std::pair<std::string, const char*> files[] = {{"\x89HDF\r\n\x1a\n\0"s, "an HDF5 file"},
                                                       {"\x93NUMPY\x01\0"s, "a NumPy array (.npy)"},
                                                       {npy_in_zip, "NumPy arrays (.npz)"},
                                                       {"PK\x03\x04\0"s, "a zip archive"},
                                                       {"\x1f\x8b\x08"s, "a gzip archive"},
                                                       {"\0\0\0\x20"
                                                        "ftypisom\0\0\0\0"s,
                                                        "a video (MP4)"},
                                                       {"\x1a\x45\xdf\xa3\x9f"s, "a video (Matroska, WebM)"}};
  for (const auto& [bytes, name] : files) {
    EXPECT_EQ(describe_content(bytes), name);
  }
}

}  // namespace
}  // namespace xtasc::io
