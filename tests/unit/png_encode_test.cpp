#include "io/png_encode.hpp"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <random>

#include "pack_fixture.hpp"

namespace xtasc::io {
namespace {

using test::error_of;
using testing::HasSubstr;

/// What OpenCV makes of the same pixels.
template <typename T>
std::vector<std::byte> encoded_by_opencv(std::vector<T> pixels, cv::Size size, int channels, PngEffort effort) {
  cv::Mat picture(size, CV_MAKETYPE(cv::DataType<T>::depth, channels), pixels.data());
  if (channels == 3) {
    cv::cvtColor(picture, picture, cv::COLOR_RGB2BGR);
  }
  const std::vector<int> thorough = {cv::IMWRITE_PNG_COMPRESSION, 6, cv::IMWRITE_PNG_STRATEGY,
                                     cv::IMWRITE_PNG_STRATEGY_DEFAULT};
  std::vector<unsigned char> file;
  EXPECT_TRUE(cv::imencode(".png", picture, file, effort == PngEffort::quick ? std::vector<int>{} : thorough));
  const auto bytes = std::as_bytes(std::span(file));
  return {bytes.begin(), bytes.end()};
}

/// Slopes with some noise, so that every filter has its row.
template <typename T>
std::vector<T> make_pixels(std::mt19937& random, cv::Size size, int channels) {
  std::vector<T> pixels(static_cast<std::size_t>(size.area() * channels));
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<T>(i * 7 / 5 + (random() % 8 == 0 ? random() : 0));
  }
  return pixels;
}

template <typename T>
void expect_opencvs_file(std::mt19937& random, cv::Size size, int channels) {
  const std::vector<T> pixels = make_pixels<T>(random, size, channels);
  for (const PngEffort effort : {PngEffort::quick, PngEffort::thorough}) {
    EXPECT_TRUE(encode_png(std::span(pixels), size.height, size.width, channels, effort, "a.png") ==
                encoded_by_opencv(pixels, size, channels, effort))
        << 8 * sizeof(T) << " bits, " << channels << " channels, " << size;
  }
}

TEST(PngEncode, GivesTheBytesOfOpencv) {
  std::mt19937 random(5);
  for (const cv::Size size : {cv::Size(1, 1), cv::Size(5, 3), cv::Size(333, 201)}) {
    expect_opencvs_file<std::uint8_t>(random, size, 1);
    expect_opencvs_file<std::uint8_t>(random, size, 3);
    expect_opencvs_file<std::uint16_t>(random, size, 1);
  }
}

TEST(PngEncode, ASideBeyondLibpngsLimitIsRefusedByName) {
  const std::vector<std::uint8_t> pixels(1'000'001);
  testing::internal::CaptureStderr();
  EXPECT_THAT(error_of([&] {
                std::ignore = encode_png(std::span(pixels), 1, std::ssize(pixels), 1, PngEffort::quick, "wide.png");
              }),
              HasSubstr("cannot encode 'wide.png' as PNG: "));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace xtasc::io
