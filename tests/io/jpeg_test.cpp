#include "io/image/jpeg.hpp"

#include <gtest/gtest.h>

#include <random>

#include "io/checksum.hpp"
#include "io/jpeg_file.hpp"
#include "pack/pack_fixture.hpp"

namespace xtasc::io {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::error_of;
using test::jpeg_file;
using test::TempFolder;
using test::write_bytes;
using testing::HasSubstr;

constexpr std::size_t kHeight = 37, kWidth = 53;

std::vector<std::uint8_t> picture(std::size_t height, std::size_t width, std::size_t channels) {
  std::vector<std::uint8_t> pixels;
  std::mt19937 random(7);
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width * channels; ++x) {
      pixels.push_back(static_cast<std::uint8_t>(x * 5 + y * 3 + random() % 40));
    }
  }
  return pixels;
}

/// Inverted CMYK as Adobe writes it, or the same as YCCK; or RGB that was not made into YCbCr, which only Adobe's
/// marker tells.
std::string encoded_by_adobe(J_COLOR_SPACE stored_as) {
  const std::size_t channels = stored_as == JCS_RGB ? 3 : 4;
  return jpeg_file(picture(21, 35, channels), 21, 35, channels, {.stored_as = stored_as, .has_adobe_marker = true});
}

Image<std::uint8_t> decoded(const std::string& file) {
  return decode_jpeg(file, parse_jpeg_header(file, "a.jpg").value(), "a.jpg");
}

std::string digest(const std::string& file) {
  const Image<std::uint8_t> image = decoded(file);
  return digest_hex(std::as_bytes(std::span(image.pixels)));
}

std::string error(const std::string& file) {
  return error_of([&] { std::ignore = decoded(file); });
}

/// The digests are of what OpenCV 4.6 with libjpeg-turbo 2.1.5 reads from the same files.
TEST(Jpeg, PixelsAreTheOnesThatOpenCvReads) {
  const auto rgb = picture(kHeight, kWidth, 3), grey = picture(kHeight, kWidth, 1);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {jpeg_file(rgb, kHeight, kWidth, 3, {.quality = 30}), "79ae7359e6c32e9b9d6c3175538df77d"},
      {jpeg_file(rgb, kHeight, kWidth, 3), "414738fc0e13d3d527095284df7c509c"},
      {jpeg_file(rgb, kHeight, kWidth, 3, {.quality = 100}), "55e3ae9b08240eed88ef963264d05e8c"},
      {jpeg_file(rgb, kHeight, kWidth, 3, {.is_progressive = true}), "414738fc0e13d3d527095284df7c509c"},
      {jpeg_file(rgb, kHeight, kWidth, 3, {.restart_interval = 2}), "414738fc0e13d3d527095284df7c509c"},
      {jpeg_file(rgb, kHeight, kWidth, 3) + std::string(3, '\0'), "414738fc0e13d3d527095284df7c509c"},
      {jpeg_file(grey, kHeight, kWidth, 1, {.quality = 30}), "036dba41c93c81eace13dcb36d1cd2b7"},
      {jpeg_file(grey, kHeight, kWidth, 1), "0f8181187be872ad7e5c669f3ba01cc2"},
      {jpeg_file(picture(1, 1, 3), 1, 1, 3), "feafb750942ee2c946722f0be9e643fa"},
      {encoded_by_adobe(JCS_CMYK), "ef3c5994e00cad6972a786331ad0bbcf"},
      {encoded_by_adobe(JCS_YCCK), "6c3fd91a5f9f67653c464148c6c3186e"},
      {encoded_by_adobe(JCS_RGB), "f97f9fd1e5c856406fe07ce94b242d18"}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(digest(cases[i].first), cases[i].second) << i;
  }
}

TEST(RealJpegs, JpegPixelsAreTheOnesThatOpenCvReads) {
  const fs::path folder = fs::path(XTASC_SOURCE_DIR) / ".." / "shared" / "data" / "nyuv2_images" / "rgb";
  if (!fs::exists(folder / "0001.jpg")) {
    GTEST_SKIP() << "no real NYUv2 data at ../shared/data";
  }
  std::string digests;
  for (int i = 1; i <= 1449; i += 40) {
    digests += digest(bytes_of(folder / fmt::format("{:04}.jpg", i)));
  }
  EXPECT_EQ(digest_hex(digests), "aca1b78de0d93a8d8b3055000326ba17");
}

/// What phones append: a film, with marks that look like those of a JPEG.
const std::string kTrailer = "ftypmp42 \xff\xd8\xff\xe0 not the end of it \xff\xd9 but this";

TEST(Jpeg, WhatNoPixelDependsOnIsARemark) {
  const std::string good = jpeg_file(picture(kHeight, kWidth, 3), kHeight, kWidth, 3);
  EXPECT_EQ(decoded(good).remark, "");
  EXPECT_EQ(decoded(good + std::string("\0\0\r\n ", 5)).remark, "") << "some cameras pad";
  std::string stray = good;
  stray.insert(stray.find("\xff\xdb"), "ab");
  std::string version = good;
  version[version.find("JFIF") + 5] = '\x02';
  std::string scan = good;
  scan[scan.find("\xff\xda") + 4 + 1 + 6 + 1] = '\0';  // the last coefficient of the scan, 63 in a baseline file
  const std::pair<std::string, std::string> cases[] = {
      {good + kTrailer, fmt::format("{} bytes behind its end mark", kTrailer.size())},
      {stray, "Corrupt JPEG data: 2 extraneous bytes before marker 0xdb"},
      {version, "Warning: unknown JFIF revision number 2.01"},
      {scan, "Invalid SOS parameters for sequential JPEG"},
      {version + kTrailer,
       fmt::format("Warning: unknown JFIF revision number 2.01, {} bytes behind its end mark", kTrailer.size())}};
  for (const auto& [file, remark] : cases) {
    EXPECT_EQ(decoded(file).remark, remark);
    EXPECT_EQ(digest(file), "414738fc0e13d3d527095284df7c509c") << remark;
  }
  const TempFolder folder;
  write_bytes(folder / "a.jpg", good + kTrailer);
  EXPECT_EQ(read_rgb_image(folder / "a.jpg").remark, cases[0].second);
  EXPECT_EQ(read_rgb_image(folder / "a.jpg", {}, {{3}, {4}}).remark, cases[0].second);
  EXPECT_EQ(remarks_text(1, "'a.jpg': x"), "1 picture is odd in a way that no pixel depends on: 'a.jpg': x");
  EXPECT_EQ(remarks_text(3, "'a.jpg': x"), "3 pictures are odd in a way that no pixel depends on: 'a.jpg': x, ...");
}

/// The end mark of the trailer, or of a thumbnail, is not the picture's.
TEST(Jpeg, ATrailerHidesNoLostPixels) {
  for (const bool is_progressive : {false, true}) {
    const std::string good =
        jpeg_file(picture(kHeight, kWidth, 3), kHeight, kWidth, 3, {.is_progressive = is_progressive});
    EXPECT_EQ(decoded(good + kTrailer).remark, fmt::format("{} bytes behind its end mark", kTrailer.size()));
    for (std::size_t size = good.size() - 2; size > good.size() / 4; size -= 29) {
      EXPECT_NE(error(good.substr(0, size) + kTrailer), "no error") << size;
      EXPECT_NE(error(good.substr(0, size)), "no error") << size;
    }
  }
}

TEST(Jpeg, EveryOtherWarningIsAnErrorAndNothingIsPrinted) {
  testing::internal::CaptureStderr();
  const std::string good = jpeg_file(picture(64, 64, 3), 64, 64, 3, {.restart_interval = 2});
  EXPECT_EQ(error(good.substr(0, good.size() - 2)),
            fmt::format("cannot read 'a.jpg': truncated JPEG, it does not end with the end mark after {} bytes",
                        good.size() - 2));
  EXPECT_EQ(error(good.substr(0, good.size() / 2) + "\xff\xd9"),
            "cannot read 'a.jpg': damaged JPEG, Corrupt JPEG data: premature end of data segment");
  // The decoder reads a few bytes ahead, and does not count these.
  EXPECT_THAT(error(good.substr(0, good.size() - 2) + std::string(40, 'a') + "\xff\xd9"),
              HasSubstr("damaged JPEG, Corrupt JPEG data: 3"));
  EXPECT_THAT(error(good.substr(0, good.size() - 2) + std::string(40, 'a') + "\xff\xd9"),
              HasSubstr("extraneous bytes before marker 0xd9"));
  std::string bad = good;
  bad[good.find("\xff\xd1") + 1] = '\xd4';
  EXPECT_THAT(error(bad), HasSubstr("damaged JPEG, Corrupt JPEG data: found marker 0xd4 instead of RST1"));
  bad = good;
  bad[good.find("\xff\xc0") + 1] = '\xc3';
  EXPECT_EQ(error(bad), "cannot read 'a.jpg': Unsupported JPEG process: SOF type 0xc3");
  bad = good;
  bad[good.find("\xff\xc0") + 4] = 12;
  EXPECT_EQ(error(bad), "cannot read 'a.jpg': Unsupported JPEG data precision 12");
  ImageHeader header = parse_jpeg_header(good, "a.jpg").value();
  header.width = 8;
  EXPECT_EQ(error_of([&] { std::ignore = decode_jpeg(good, header, "a.jpg"); }),
            "cannot read 'a.jpg': damaged JPEG, its headers say 64 x 8 and 64 x 64 pixels");

  std::size_t num_noticed = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {  // an error or other pixels, never more
    bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1 << i % 8);
    const std::string reason = error_of([&] {
      const auto claimed = parse_jpeg_header(bad, "a.jpg");
      if (claimed && claimed->height * claimed->width <= 1 << 24) {
        std::ignore = decode_jpeg(bad, *claimed, "a.jpg");
      }
    });
    num_noticed += reason != "no error" ? 1 : 0;
  }
  EXPECT_GT(num_noticed, good.size() / 4);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace xtasc::io
