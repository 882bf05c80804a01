#include <gtest/gtest.h>
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <random>
#include <span>

#include "io/image/png.hpp"
#include "io/image/png_filter.hpp"

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

/// An 8-bit picture of grey (1), RGB (3) or RGBA (4), or a 16-bit one of grey.
struct Picture {
  std::size_t height, width, channels;
  int bit_depth = 8;
  Bytes bytes{};  ///< samples of 16 bits in this machine's order

  [[nodiscard]] std::size_t row_bytes() const { return width * channels * static_cast<std::size_t>(bit_depth / 8); }
};

/// Noise and edges, so that libpng chooses among all filters.
Picture drawn(std::mt19937& random, Picture picture) {
  for (std::size_t row = 0; row < picture.height; ++row) {
    for (std::size_t i = 0; i < picture.row_bytes(); ++i) {
      const std::size_t slope = row * (1 + i / 37 % 3) + i * 2;
      picture.bytes.push_back(static_cast<std::uint8_t>(slope + (random() % 8 == 0 ? random() : 0)));
    }
  }
  return picture;
}

/// \param strategy  of zlib
std::string encoded(const Picture& picture, int strategy) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  const auto append = [](png_structp writer, png_bytep bytes, std::size_t count) {
    static_cast<std::string*>(png_get_io_ptr(writer))->append(reinterpret_cast<const char*>(bytes), count);
  };
  png_set_write_fn(png, &file, append, [](png_structp) {});
  png_set_compression_level(png, 6);
  png_set_compression_strategy(png, strategy);
  const int color = picture.channels == 1   ? PNG_COLOR_TYPE_GRAY
                    : picture.channels == 3 ? PNG_COLOR_TYPE_RGB
                                            : PNG_COLOR_TYPE_RGB_ALPHA;
  png_set_IHDR(png, info, static_cast<png_uint_32>(picture.width), static_cast<png_uint_32>(picture.height),
               picture.bit_depth, color, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  if constexpr (std::endian::native == std::endian::little) {
    png_set_swap(png);  // 16 bits only
  }
  for (std::size_t row = 0; row < picture.height; ++row) {
    png_write_row(png, picture.bytes.data() + row * picture.row_bytes());
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

/// Grey spread to RGB, alpha dropped.
Bytes rgb_of(const Picture& picture) {
  Bytes rgb;
  for (std::size_t i = 0; i < picture.bytes.size(); i += picture.channels) {
    for (std::size_t c = 0; c < 3; ++c) {
      rgb.push_back(picture.bytes[i + (picture.channels == 1 ? 0 : c)]);
    }
  }
  return rgb;
}

TEST(Png, DecodesWhatLibpngEncodes) {
  std::mt19937 random(3);
  for (const auto& [height, width] : {std::pair{1U, 1U}, {3U, 5U}, {50U, 64U}, {201U, 333U}}) {
    for (const int strategy : {Z_DEFAULT_STRATEGY, Z_FILTERED}) {
      for (const std::size_t channels : {1U, 3U, 4U}) {
        const Picture picture = drawn(random, {height, width, channels});
        const std::string file = encoded(picture, strategy);
        EXPECT_EQ(decode_png<std::uint8_t>(read_png_chunks(file, "a.png"), 3, {}, "a.png").pixels, rgb_of(picture));
      }
      const Picture deep = drawn(random, {height, width, 1, 16});
      const std::string file = encoded(deep, strategy);
      const auto pixels = decode_png<std::uint16_t>(read_png_chunks(file, "a.png"), 1, {}, "a.png").pixels;
      const auto bytes = std::as_bytes(std::span(pixels));
      EXPECT_TRUE(std::ranges::equal(bytes, std::as_bytes(std::span(deep.bytes))));
    }
  }
}

TEST(Png, SelectedPixelsAreThoseOfTheWholeImage) {
  std::mt19937 random(4);
  constexpr std::int64_t kHeight = 90, kWidth = 70;
  const std::string file = encoded(drawn(random, {kHeight, kWidth, 3}), Z_DEFAULT_STRATEGY);
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
