#include "io/image/png_encode.hpp"

#include <gtest/gtest.h>

#include <random>

#include "io/image/png.hpp"
#include "pack/pack_fixture.hpp"

namespace xtasc::io {
namespace {

using test::error_of;
using testing::HasSubstr;

/// Slopes with some noise, so that every filter has its row.
template <typename T>
std::vector<T> make_pixels(std::mt19937& random, std::int64_t count) {
  std::vector<T> pixels(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<T>(i * 7 / 5 + (random() % 8 == 0 ? random() : 0));
  }
  return pixels;
}

template <typename T>
void expect_pixels_back(std::mt19937& random, std::int64_t height, std::int64_t width, std::int64_t channels) {
  const std::vector<T> pixels = make_pixels<T>(random, height * width * channels);
  for (const PngEffort effort : {PngEffort::quick, PngEffort::thorough}) {
    const std::vector<std::byte> bytes = encode_png(std::span(pixels), height, width, channels, effort, "a.png");
    const std::string file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const Image<T> image = decode_png<T>(read_png_chunks(file, "a.png"), channels, {}, "a.png");
    EXPECT_EQ(image.height, height);
    EXPECT_EQ(image.width, width);
    EXPECT_TRUE(image.pixels == pixels) << 8 * sizeof(T) << " bits, " << channels << " channels, " << width;
  }
}

TEST(PngEncode, GivesBackEveryPixel) {
  std::mt19937 random(5);
  for (const auto& [height, width] : {std::pair{1, 1}, {3, 5}, {201, 333}}) {
    expect_pixels_back<std::uint8_t>(random, height, width, 1);
    expect_pixels_back<std::uint8_t>(random, height, width, 3);
    expect_pixels_back<std::uint16_t>(random, height, width, 1);
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
