#include <gtest/gtest.h>

#include <cstdlib>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <random>

#include "io/png.hpp"
#include "io/png_filter.hpp"

namespace xtasc::io {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// The specification, byte by byte: https://www.w3.org/TR/png-3/#9Filters
int predict(int filter, int left, int up, int corner) {
  switch (filter) {
    case 1:
      return left;
    case 2:
      return up;
    case 3:
      return (left + up) / 2;
    case 4: {
      const int estimate = left + up - corner;
      const int to_left = std::abs(estimate - left);
      const int to_up = std::abs(estimate - up);
      const int to_corner = std::abs(estimate - corner);
      if (to_left <= to_up && to_left <= to_corner) {
        return left;
      }
      return to_up <= to_corner ? up : corner;
    }
    default:
      return 0;
  }
}

/// A row of zeros, then `height` filtered rows, then the padding.
struct Filtered {
  std::size_t height, stride, pixel_bytes;
  Bytes bytes;

  std::uint8_t& at(std::size_t row, std::size_t i) { return bytes[(1 + row) * stride + i]; }

  Bytes undone_by_the_specification() const {
    Bytes out = bytes;
    for (std::size_t row = 1; row <= height; ++row) {
      for (std::size_t i = 1; i < stride; ++i) {
        const std::size_t at = row * stride + i;
        const bool has_left = i > pixel_bytes;
        out[at] = static_cast<std::uint8_t>(out[at] + predict(out[row * stride], has_left ? out[at - pixel_bytes] : 0,
                                                              out[at - stride],
                                                              has_left ? out[at - stride - pixel_bytes] : 0));
      }
    }
    return out;
  }

  Bytes undone() const {
    Bytes out = bytes;
    undo_png_filters(out.data() + stride, height, stride, pixel_bytes);
    return out;
  }
};

/// Bytes of few values meet equal distances, those of many meet overflow.
Filtered make_rows(std::mt19937& random, std::size_t height, std::size_t width, std::size_t pixel_bytes,
                   const std::vector<std::uint8_t>& filters) {
  Filtered rows{height, 1 + width * pixel_bytes, pixel_bytes, {}};
  rows.bytes.resize((1 + height) * rows.stride + kPngFilterPadding);
  const std::uint32_t mask = random() % 2 == 0 ? 0xff : 0x83;
  for (std::size_t i = rows.stride; i < rows.bytes.size(); ++i) {
    rows.bytes[i] = static_cast<std::uint8_t>(random() & mask);
  }
  for (std::size_t row = 0; row < height; ++row) {
    rows.at(row, 0) = filters[random() % filters.size()];
  }
  return rows;
}

TEST(PngFilter, EveryFilterIsTheSpecifications) {
  std::mt19937 random(1);
  for (std::size_t pixel_bytes = 1; pixel_bytes <= 4; ++pixel_bytes) {
    for (std::size_t width = 1; width <= 40; ++width) {
      for (std::uint8_t filter = 0; filter <= kMaxPngFilter; ++filter) {
        const Filtered rows = make_rows(random, 19, width, pixel_bytes, {filter});
        ASSERT_EQ(rows.undone(), rows.undone_by_the_specification())
            << "filter " << int{filter} << ", " << pixel_bytes << " bytes a pixel, width " << width;
      }
    }
  }
}

TEST(PngFilter, SequencesOfFiltersAreTheSpecifications) {
  std::mt19937 random(2);
  for (std::size_t pixel_bytes = 1; pixel_bytes <= 4; ++pixel_bytes) {
    for (const std::size_t width : {1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 500, 1023, 2048}) {
      for (const std::vector<std::uint8_t>& filters :
           {std::vector<std::uint8_t>{0, 1, 2, 3, 4}, {3, 4}, {4, 4, 4, 2}, {1, 3}, {0, 2, 2, 2, 2, 4}}) {
        const Filtered rows = make_rows(random, 1 + random() % 70, width, pixel_bytes, filters);
        ASSERT_EQ(rows.undone(), rows.undone_by_the_specification())
            << rows.height << " rows, " << pixel_bytes << " bytes a pixel, width " << width;
      }
    }
  }
}

/// left, up and corner of every kind; a row of two pixels has them all.
TEST(PngFilter, PaethIsTheSpecificationsForAllBytes) {
  for (int corner = 0; corner < 256; ++corner) {
    Filtered rows{256, 3 * 2 + 1, 3, {}};
    for (int up = 0; up < 256; up += 5) {
      rows.bytes.assign(257 * rows.stride + kPngFilterPadding, 0);
      for (std::size_t row = 0; row < 256; ++row) {  // pairs of rows: the one above, the one that is looked at
        const bool is_above = row % 2 == 0;
        rows.at(row, 0) = is_above ? 0 : 4;
        for (std::size_t c = 1; c <= 3; ++c) {
          const int left = static_cast<int>(row / 2 * 2 + c) % 256;
          rows.at(row, c) = static_cast<std::uint8_t>(is_above ? corner : left - corner);
          rows.at(row, 3 + c) = static_cast<std::uint8_t>(is_above ? up : 0);
        }
      }
      ASSERT_EQ(rows.undone(), rows.undone_by_the_specification()) << "corner " << corner << ", up " << up;
    }
  }
}

/// Noise and edges, so that libpng's strategy chooses among all filters.
cv::Mat make_picture(std::mt19937& random, int height, int width, int type) {
  cv::Mat picture(height, width, type);
  const std::size_t values = static_cast<std::size_t>(width) * picture.elemSize();
  for (int row = 0; row < height; ++row) {
    for (std::size_t i = 0; i < values; ++i) {
      const std::size_t slope = static_cast<std::size_t>(row) * (1 + i / 37 % 3) + i * 2;
      picture.ptr(row)[i] = static_cast<std::uint8_t>(slope + (random() % 8 == 0 ? random() : 0));
    }
  }
  return picture;
}

std::string encoded(const cv::Mat& picture, int strategy) {
  std::vector<unsigned char> file;
  EXPECT_TRUE(
      cv::imencode(".png", picture, file, {cv::IMWRITE_PNG_COMPRESSION, 6, cv::IMWRITE_PNG_STRATEGY, strategy}));
  return {file.begin(), file.end()};
}

template <typename T>
std::vector<T> values_of(const cv::Mat& mat) {
  return {reinterpret_cast<const T*>(mat.datastart), reinterpret_cast<const T*>(mat.dataend)};
}

TEST(Png, DecodesWhatOpencvDecodes) {
  std::mt19937 random(3);
  for (const cv::Size size : {cv::Size(1, 1), cv::Size(5, 3), cv::Size(64, 50), cv::Size(333, 201)}) {
    for (const int strategy : {cv::IMWRITE_PNG_STRATEGY_DEFAULT, cv::IMWRITE_PNG_STRATEGY_FILTERED}) {
      for (const int type : {CV_8UC1, CV_8UC3, CV_8UC4, CV_16UC1}) {
        const std::string file = encoded(make_picture(random, size.height, size.width, type), strategy);
        const PngContent png = read_png_chunks(file, "a.png");
        const cv::Mat bytes(1, static_cast<int>(file.size()), CV_8U, const_cast<char*>(file.data()));
        if (type == CV_16UC1) {
          EXPECT_EQ(decode_png<std::uint16_t>(png, 1, {}, "a.png").pixels,
                    values_of<std::uint16_t>(cv::imdecode(bytes, cv::IMREAD_UNCHANGED)));
          continue;
        }
        cv::Mat rgb;
        cv::cvtColor(cv::imdecode(bytes, cv::IMREAD_COLOR), rgb, cv::COLOR_BGR2RGB);
        EXPECT_EQ(decode_png<std::uint8_t>(png, 3, {}, "a.png").pixels, values_of<std::uint8_t>(rgb));
      }
    }
  }
}

TEST(Png, SelectedPixelsAreThoseOfTheWholeImage) {
  std::mt19937 random(4);
  constexpr std::int64_t kHeight = 90, kWidth = 70;
  const std::string file = encoded(make_picture(random, kHeight, kWidth, CV_8UC3), cv::IMWRITE_PNG_STRATEGY_DEFAULT);
  const PngContent png = read_png_chunks(file, "a.png");
  const Image<std::uint8_t> whole = decode_png<std::uint8_t>(png, 3, {}, "a.png");
  for (int round = 0; round < 100; ++round) {
    Selection selection;
    const auto pick = [&](std::vector<std::int64_t>& out, std::int64_t size) {
      const auto one_in = 1 + random() % 20;
      for (std::int64_t i = 0; i < size; ++i) {
        for (int twice = 0; twice < 2; ++twice) {
          if (random() % one_in == 0) {
            out.push_back(i);
          }
        }
      }
    };
    pick(selection.rows, kHeight);
    pick(selection.columns, kWidth);
    if (selection.rows.empty() || selection.columns.empty()) {
      continue;
    }
    Bytes expected;
    for (const std::int64_t row : selection.rows) {
      for (const std::int64_t column : selection.columns) {
        const auto pixel = whole.pixels.begin() + (row * kWidth + column) * 3;
        expected.insert(expected.end(), pixel, pixel + 3);
      }
    }
    ASSERT_EQ(decode_png<std::uint8_t>(png, 3, selection, "a.png").pixels, expected);
  }
}

}  // namespace
}  // namespace xtasc::io
