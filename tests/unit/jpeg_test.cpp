#include "io/jpeg.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdio>
// clang-format off
#include <jpeglib.h>
// clang-format on

#include <array>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <random>

#include "pack_fixture.hpp"

namespace xtasc::io {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::error_of;
using test::TempFolder;
using test::write_bytes;
using testing::HasSubstr;

cv::Mat picture(int height, int width, int type) {
  cv::Mat mat(height, width, type);
  std::mt19937 random(7);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width * mat.channels(); ++x) {
      mat.at<unsigned char>(y, x) = static_cast<unsigned char>(x * 5 + y * 3 + static_cast<int>(random() % 40));
    }
  }
  return mat;
}

std::string encoded(const cv::Mat& mat, const std::vector<int>& options = {}) {
  std::vector<unsigned char> bytes;
  cv::imencode(".jpg", mat, bytes, options);
  return {bytes.begin(), bytes.end()};
}

/// Inverted CMYK as Adobe writes it, or the same as YCCK; or RGB that was not made into YCbCr, which only Adobe's
/// marker tells.
std::string encoded_by_adobe(J_COLOR_SPACE stored_as) {
  const bool is_cmyk = stored_as != JCS_RGB;
  const cv::Mat pixels = picture(21, 35, is_cmyk ? CV_8UC4 : CV_8UC3);
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = 35;
  info.image_height = 21;
  info.input_components = pixels.channels();
  info.in_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, stored_as);
  info.write_Adobe_marker = TRUE;
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < pixels.rows; ++y) {
    JSAMPROW row = const_cast<unsigned char*>(pixels.ptr(y));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string text(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return text;
}

/// What OpenCV makes of the same bytes, as RGB.
Image<std::uint8_t> decoded_by_opencv(const std::string& file) {
  const cv::Mat bytes(1, static_cast<int>(file.size()), CV_8U, const_cast<char*>(file.data()));
  cv::Mat rgb;
  cv::cvtColor(cv::imdecode(bytes, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION), rgb, cv::COLOR_BGR2RGB);
  return {rgb.rows, rgb.cols, 3, {rgb.data, rgb.data + rgb.total() * 3}};
}

Image<std::uint8_t> decoded(const std::string& file) {
  return decode_jpeg(file, parse_jpeg_header(file, "a.jpg").value(), "a.jpg");
}

void expect_like_opencv(const std::string& file, const std::string& what) {
  const auto ours = decoded(file);
  const auto theirs = decoded_by_opencv(file);
  EXPECT_EQ(ours.height, theirs.height) << what;
  EXPECT_EQ(ours.width, theirs.width) << what;
  EXPECT_TRUE(ours.pixels == theirs.pixels) << what;
}

std::string error(const std::string& file) {
  return error_of([&] { std::ignore = decoded(file); });
}

TEST(Jpeg, PixelsAreTheOnesThatOpenCvReads) {
  for (const cv::Mat& mat : {picture(37, 53, CV_8UC3), picture(37, 53, CV_8UC1), picture(1, 1, CV_8UC3)}) {
    const std::string what = fmt::format("{} channels, {} x {}", mat.channels(), mat.rows, mat.cols);
    for (const int quality : {30, 95, 100}) {
      expect_like_opencv(encoded(mat, {cv::IMWRITE_JPEG_QUALITY, quality}), what);
    }
    expect_like_opencv(encoded(mat, {cv::IMWRITE_JPEG_PROGRESSIVE, 1}), "progressive, " + what);
    expect_like_opencv(encoded(mat, {cv::IMWRITE_JPEG_RST_INTERVAL, 2}), "restarts, " + what);
    expect_like_opencv(encoded(mat) + std::string(3, '\0'), "padded, " + what);
  }
  expect_like_opencv(encoded_by_adobe(JCS_CMYK), "CMYK");
  expect_like_opencv(encoded_by_adobe(JCS_YCCK), "YCCK");
  expect_like_opencv(encoded_by_adobe(JCS_RGB), "RGB");
}

TEST(RealData, JpegPixelsAreTheOnesThatOpenCvReads) {
  const fs::path folder = fs::path(XTASC_SOURCE_DIR) / ".." / "shared" / "data" / "nyuv2_images" / "rgb";
  if (!fs::exists(folder / "0001.jpg")) {
    GTEST_SKIP() << "no real NYUv2 data at ../shared/data";
  }
  for (int i = 1; i <= 1449; i += 40) {
    const std::string name = fmt::format("{:04}.jpg", i);
    expect_like_opencv(bytes_of(folder / name), name);
  }
}

TEST(Jpeg, EveryWarningIsAnErrorAndNothingIsPrinted) {
  testing::internal::CaptureStderr();
  const std::string good = encoded(picture(64, 64, CV_8UC3), {cv::IMWRITE_JPEG_RST_INTERVAL, 2});
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
