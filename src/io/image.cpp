#include "io/image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/jpeg.hpp"

namespace xtasc::io {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPngMagic = "\x89PNG\r\n\x1a\n";
constexpr std::size_t kHeadBytes = 64 * 1024;

std::uint32_t big_endian(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

/// CRC-32 as in PNG (polynomial 0xedb88320), eight bytes at a time.
/// Source: Kounavis and Berry, "A systematic approach to building high performance software-based CRC generators",
/// 2005.
std::uint32_t crc32(std::string_view bytes) {
  static const auto tables = [] {
    std::array<std::array<std::uint32_t, 256>, 8> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) {
        value = (value & 1U) != 0 ? 0xedb88320U ^ value >> 1 : value >> 1;
      }
      t[0][i] = value;
    }
    for (std::size_t k = 1; k < 8; ++k) {
      for (std::size_t i = 0; i < 256; ++i) {
        t[k][i] = t[0][t[k - 1][i] & 0xffU] ^ t[k - 1][i] >> 8;
      }
    }
    return t;
  }();
  std::uint32_t crc = 0xffffffffU;
  std::size_t at = 0;
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i]));
  };
  for (; at + 8 <= bytes.size(); at += 8) {
    crc ^= byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
    crc = tables[7][crc & 0xffU] ^ tables[6][crc >> 8 & 0xffU] ^ tables[5][crc >> 16 & 0xffU] ^ tables[4][crc >> 24] ^
          tables[3][byte(4)] ^ tables[2][byte(5)] ^ tables[1][byte(6)] ^ tables[0][byte(7)];
  }
  for (; at < bytes.size(); ++at) {
    crc = tables[0][(crc ^ byte(0)) & 0xffU] ^ crc >> 8;
  }
  return ~crc;
}

ImageHeader parse_png(std::string_view file, const fs::path& path) {
  check(file.size() >= 33 && big_endian(file, 8, 4) == 13 && file.substr(12, 4) == "IHDR",
        "cannot read '{}': truncated or damaged PNG header", path.string());
  check(crc32(file.substr(12, 17)) == big_endian(file, 29, 4), "cannot read '{}': damaged PNG header (wrong CRC)",
        path.string());
  ImageHeader header;
  header.format = ImageHeader::Format::png;
  header.width = big_endian(file, 16, 4);
  header.height = big_endian(file, 20, 4);
  header.bit_depth = static_cast<unsigned char>(file[24]);
  switch (file[25]) {
    case 0:
      header.channels = 1;
      break;
    case 2:
      header.channels = 3;
      break;
    case 3:
      header.channels = 3;
      header.palette = true;
      break;
    case 4:
      header.channels = 2;
      break;
    case 6:
      header.channels = 4;
      break;
    default:
      fail("cannot read '{}': PNG colour type {} does not exist", path.string(), static_cast<int>(file[25]));
  }
  return header;
}

/// \param is_whole  whether `file` is all of the file, or its beginning only.
std::optional<ImageHeader> parse_header(std::string_view file, bool is_whole, const fs::path& path) {
  std::optional<ImageHeader> header;
  if (file.starts_with(kPngMagic)) {
    header = parse_png(file, path);
  } else if (file.starts_with(kJpegMagic)) {
    header = parse_jpeg_header(file, path);
    if (!header && !is_whole) {
      return std::nullopt;
    }
    check(header.has_value(), "cannot read '{}': truncated within its JPEG header", path.string());
  } else {
    fail("cannot read '{}': found {}, a PNG or JPEG image is expected", path.string(), describe_content(file));
  }
  check(header->height > 0 && header->width > 0, "cannot read '{}': its header says {} x {} pixels", path.string(),
        header->height, header->width);
  return header;
}

/// Every chunk's CRC, and that the file goes on to its end mark: libpng lets several of these faults pass.
void check_png_chunks(std::string_view file, const fs::path& path) {
  std::size_t at = kPngMagic.size();
  bool has_data = false;
  while (true) {
    check(at + 12 <= file.size() && big_endian(file, at, 4) <= file.size() - at - 12,
          "cannot read '{}': truncated PNG, it ends after {} bytes in the middle of a chunk", path.string(),
          file.size());
    const std::size_t length = big_endian(file, at, 4);
    const std::string_view type = file.substr(at + 4, 4);
    check(crc32(file.substr(at + 4, length + 4)) == big_endian(file, at + 8 + length, 4),
          "cannot read '{}': damaged PNG, wrong CRC in the chunk at byte {}", path.string(), at);
    has_data = has_data || type == "IDAT";
    at += length + 12;
    if (type == "IEND") {
      check(has_data, "cannot read '{}': PNG without image data", path.string());
      return;
    }
  }
}

cv::Mat decode_png(std::string_view file, int flags, const fs::path& path) {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  check_png_chunks(file, path);
  cv::Mat decoded;
  try {
    const cv::Mat bytes(1, static_cast<int>(file.size()), CV_8U, const_cast<char*>(file.data()));
    decoded = cv::imdecode(bytes, flags);
  } catch (const cv::Exception& error) {
    fail("cannot read '{}': {}", path.string(), error.err);
  }
  check(!decoded.empty(), "cannot read '{}': damaged image data", path.string());
  return decoded;
}

ImageHeader checked_header(std::string_view file, const ImageRules& rules, const fs::path& path) {
  check(file.size() < (std::size_t{1} << 30), "cannot read '{}': {} bytes are too many for one image", path.string(),
        file.size());
  const ImageHeader header = *parse_header(file, true, path);
  check_image_size(header, rules, path);
  return header;
}

template <typename T>
Image<T> copy_pixels(const cv::Mat& mat) {
  Image<T> image{mat.rows, mat.cols, mat.channels(), {}};
  const std::size_t row_values = static_cast<std::size_t>(mat.cols) * static_cast<std::size_t>(mat.channels());
  image.pixels.resize(static_cast<std::size_t>(mat.rows) * row_values);
  for (int row = 0; row < mat.rows; ++row) {
    std::copy_n(mat.ptr<T>(row), row_values, image.pixels.begin() + static_cast<std::ptrdiff_t>(row_values) * row);
  }
  return image;
}

template <typename T>
Image<T> read_grey_image(const fs::path& path, const ImageRules& rules) {
  const std::string file = read_file(path);
  const ImageHeader header = checked_header(file, rules, path);
  check_grey_png(header, static_cast<int>(sizeof(T) * 8), path);
  const cv::Mat decoded = decode_png(file, cv::IMREAD_UNCHANGED, path);
  check(decoded.channels() == 1 && decoded.elemSize() == sizeof(T),
        "cannot read '{}': a transparent colour makes its values ambiguous", path.string());
  return copy_pixels<T>(decoded);
}

void write_png_mat(const fs::path& path, const cv::Mat& mat) {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  std::vector<unsigned char> encoded;
  bool done = false;
  try {
    done = cv::imencode(".png", mat, encoded);
  } catch (const cv::Exception& error) {
    fail("cannot encode '{}' as PNG: {}", path.string(), error.err);
  }
  check(done, "cannot encode '{}' as PNG", path.string());
  write_file_atomically(path, std::as_bytes(std::span(encoded)));
}

void check_pixel_count(const fs::path& path, std::size_t found, std::int64_t height, std::int64_t width,
                       std::int64_t channels) {
  check(height > 0 && width > 0 && height < (1 << 20) && width < (1 << 20) && (channels == 1 || channels == 3) &&
            found == static_cast<std::size_t>(height * width * channels),
        "cannot write '{}': {} values do not make {} x {} pixels of {} channels", path.string(), found, height, width,
        channels);
}

}  // namespace

std::string describe_content(std::string_view first_bytes) {
  if (first_bytes.empty()) {
    return "an empty file";
  }
  if (first_bytes.starts_with("version https://git-lfs")) {
    return "a Git LFS pointer instead of the file (run `git lfs pull`)";
  }
  if (first_bytes.starts_with(kPngMagic)) {
    return "a PNG image";
  }
  if (first_bytes.starts_with(kJpegMagic)) {
    return "a JPEG image";
  }
  const auto head = first_bytes.substr(0, 32);
  const bool is_text = std::all_of(head.begin(), head.end(), [](unsigned char c) {
    return std::isprint(c) != 0 || c == '\n' || c == '\r' || c == '\t';
  });
  return is_text ? fmt::format("text (\"{}\")", head.substr(0, head.find_first_of("\r\n"))) : "unknown bytes";
}

ImageHeader read_image_header(const fs::path& path) {
  std::error_code error;
  check(!fs::is_directory(path, error), "cannot read '{}': Is a directory", path.string());
  std::ifstream stream(path, std::ios::binary);
  std::string head(kHeadBytes, '\0');
  if (!stream) {
    return *parse_header(read_file(path), true, path);  // says why it cannot be read
  }
  stream.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(stream.gcount()));
  if (const auto header = parse_header(head, head.size() < kHeadBytes, path)) {
    return *header;
  }
  return *parse_header(read_file(path), true, path);
}

void check_image_size(const ImageHeader& header, const ImageRules& rules, const fs::path& path) {
  if (rules.height && rules.width) {
    check(header.height == *rules.height && header.width == *rules.width,
          "cannot use '{}': {} x {} pixels (height x width), {} x {} are expected", path.string(), header.height,
          header.width, *rules.height, *rules.width);
  }
  check(header.height <= rules.max_pixels / header.width,
        "cannot use '{}': its header says {} x {} pixels, more than the {} that are accepted", path.string(),
        header.height, header.width, rules.max_pixels);
}

void check_grey_png(const ImageHeader& header, int bit_depth, const fs::path& path) {
  const bool is_png = header.format == ImageHeader::Format::png;
  check(is_png && header.channels == 1 && !header.palette && header.bit_depth == bit_depth,
        "cannot use '{}': a {} of {} channel{} of {} bits{}, a grey PNG of {} bits is expected", path.string(),
        is_png ? "PNG" : "JPEG", header.palette ? 1 : header.channels,
        header.channels == 1 || header.palette ? "" : "s", header.bit_depth, header.palette ? " with a palette" : "",
        bit_depth);
}

Image<std::uint8_t> read_rgb_image(const fs::path& path, const ImageRules& rules) {
  const std::string file = read_file(path);
  const ImageHeader header = checked_header(file, rules, path);
  check(header.bit_depth <= 8, "cannot use '{}': {} bits a channel, 8 are expected", path.string(), header.bit_depth);
  if (header.format == ImageHeader::Format::jpeg) {
    return decode_jpeg(file, header, rules.apply_orientation, path);
  }
  const int orientation = rules.apply_orientation ? 0 : static_cast<int>(cv::IMREAD_IGNORE_ORIENTATION);
  const cv::Mat bgr = decode_png(file, cv::IMREAD_COLOR | orientation, path);
  cv::Mat rgb;
  cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  return copy_pixels<std::uint8_t>(rgb);
}

Image<std::uint8_t> read_grey8_image(const fs::path& path, const ImageRules& rules) {
  return read_grey_image<std::uint8_t>(path, rules);
}

Image<std::uint16_t> read_grey16_image(const fs::path& path, const ImageRules& rules) {
  return read_grey_image<std::uint16_t>(path, rules);
}

void write_png(const fs::path& path, std::span<const std::uint8_t> pixels, std::int64_t height, std::int64_t width,
               std::int64_t channels) {
  check_pixel_count(path, pixels.size(), height, width, channels);
  const cv::Mat view(static_cast<int>(height), static_cast<int>(width), channels == 1 ? CV_8UC1 : CV_8UC3,
                     const_cast<std::uint8_t*>(pixels.data()));
  if (channels == 1) {
    write_png_mat(path, view);
    return;
  }
  cv::Mat bgr;
  cv::cvtColor(view, bgr, cv::COLOR_RGB2BGR);
  write_png_mat(path, bgr);
}

void write_png(const fs::path& path, std::span<const std::uint16_t> pixels, std::int64_t height, std::int64_t width) {
  check_pixel_count(path, pixels.size(), height, width, 1);
  write_png_mat(path, cv::Mat(static_cast<int>(height), static_cast<int>(width), CV_16UC1,
                              const_cast<std::uint16_t*>(pixels.data())));
}

}  // namespace xtasc::io
