#include "io/image/png.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <string>

#include "core/error.hpp"
#include "io/checksum.hpp"
#include "io/image/exif.hpp"
#include "io/image/png_filter.hpp"
#include "io/inflate.hpp"

namespace xtasc::io {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "\x89PNG\r\n\x1a\n";

std::uint32_t big_endian_32(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

/// Bytes of a row before its filter byte is counted.
std::size_t row_bytes(const ImageHeader& header) {
  return static_cast<std::size_t>(header.width) * static_cast<std::size_t>(header.channels * header.bit_depth / 8);
}

/// (1 + height) x (1 + row_bytes) bytes: a row of zeros, then those of the image, each behind the byte that names its
/// filter. A little longer than that, so that the last pixels can be read as a whole vector.
std::unique_ptr<std::uint8_t[]> inflate(const PngContent& png, const fs::path& path) {
  std::string joined;
  std::string_view stream = png.data.front();
  if (png.data.size() > 1) {
    std::size_t size = 0;
    for (const std::string_view piece : png.data) {
      size += piece.size();
    }
    joined.reserve(size);
    for (const std::string_view piece : png.data) {
      joined += piece;
    }
    stream = joined;
  }
  const std::size_t stride = 1 + row_bytes(png.header);
  const std::size_t size = static_cast<std::size_t>(png.header.height) * stride;
  auto rows = std::make_unique_for_overwrite<std::uint8_t[]>(stride + size + kPngFilterPadding);
  std::fill_n(rows.get(), stride, std::uint8_t{0});
  std::fill_n(rows.get() + stride + size, kPngFilterPadding, std::uint8_t{0});
  const auto result =
      inflate_zlib(std::as_bytes(std::span(stream)), std::as_writable_bytes(std::span(rows.get() + stride, size)));
  check(result != Inflated::damaged, "cannot read '{}': damaged PNG, its compressed data are not valid", path.string());
  check(result == Inflated::whole,
        "cannot read '{}': damaged PNG, its data are not those of {} x {} pixels (height x width)", path.string(),
        png.header.height, png.header.width);
  return rows;
}

/// Marks the rows whose bytes are needed for those that are selected: a row's filter may look at the row above.
std::vector<bool> needed_rows(const std::uint8_t* rows, std::int64_t height, std::size_t stride,
                              const Selection& selection) {
  std::vector<bool> needed(static_cast<std::size_t>(height), selection.rows.empty());
  for (const std::int64_t row : selection.rows) {
    needed[static_cast<std::size_t>(row)] = true;
  }
  for (std::size_t row = needed.size() - 1; row > 0; --row) {
    needed[row - 1] = needed[row - 1] || (needed[row] && filter_looks_up(rows[row * stride]));
  }
  return needed;
}

/// Undoes the filters of the rows that the selected ones rest on. \throws Error  when one of them does not exist.
void undo_needed_filters(std::uint8_t* rows, const ImageHeader& header, std::size_t value_bytes,
                         const Selection& selection, const fs::path& path) {
  const std::size_t stride = 1 + row_bytes(header);
  const std::vector<bool> needed = needed_rows(rows, header.height, stride, selection);
  for (std::size_t first = 0; first < needed.size(); ++first) {
    std::size_t end = first;
    for (; end < needed.size() && needed[end]; ++end) {
      const std::uint8_t filter = rows[end * stride];
      check(filter <= kMaxPngFilter, "cannot read '{}': damaged PNG, row {} has filter {}, 0 to {} exist",
            path.string(), end, filter, kMaxPngFilter);
    }
    undo_png_filters(rows + first * stride, end - first, stride,
                     static_cast<std::size_t>(header.channels) * value_bytes);
    first = end;  // not needed, or behind the last row
  }
}

/// One value of a row: as it is, or the two bytes of a big-endian number.
template <typename T>
T value_at(const std::uint8_t* row, std::size_t index) {
  if constexpr (sizeof(T) == 1) {
    return row[index];
  } else {
    return static_cast<T>(row[2 * index] << 8 | row[2 * index + 1]);
  }
}

/// Copies pixels first, first + 1, ... or those of `columns` from a row of `from` channels to one of `to`.
template <typename T, std::size_t from, std::size_t to>
void copy_row(const std::uint8_t* row, const std::vector<std::int64_t>& columns, std::size_t width, T* out) {
  if constexpr (sizeof(T) == 1 && from == to) {
    if (columns.empty()) {
      std::memcpy(out, row, width * to);
      return;
    }
  }
  const std::size_t count = columns.empty() ? width : columns.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t pixel = columns.empty() ? i : static_cast<std::size_t>(columns[i]);
    for (std::size_t c = 0; c < to; ++c) {
      out[i * to + c] = value_at<T>(row, pixel * from + (from < 3 ? 0 : c));
    }
  }
}

template <typename T>
using CopyRow = void (*)(const std::uint8_t*, const std::vector<std::int64_t>&, std::size_t, T*);

template <typename T>
CopyRow<T> choose_copy(int from, std::int64_t to) {
  if (to == 1) {
    return copy_row<T, 1, 1>;
  }
  constexpr std::array<CopyRow<T>, 4> kToRgb = {copy_row<T, 1, 3>, copy_row<T, 2, 3>, copy_row<T, 3, 3>,
                                                copy_row<T, 4, 3>};
  return kToRgb[static_cast<std::size_t>(from - 1)];
}

/// The orientation in an eXIf chunk. Some writers put a JPEG's magic in front, which does not belong there.
int chunk_orientation(std::string_view content) {
  return exif_orientation(content.starts_with(kExifMagic) ? content.substr(kExifMagic.size()) : content);
}

/// The orientation in the chunks behind the header that `file` holds whole; 1 where there is none. CRCs are not looked
/// at: read_png_chunks does so.
int find_orientation(std::string_view file) {
  for (std::size_t at = kMagic.size(); at + 12 <= file.size();) {
    const std::size_t length = big_endian_32(file, at);
    if (length > file.size() - at - 12) {
      return 1;
    }
    const std::string_view type = file.substr(at + 4, 4);
    if (type == "eXIf") {
      return chunk_orientation(file.substr(at + 8, length));
    }
    if (type == "IEND") {
      return 1;
    }
    at += length + 12;
  }
  return 1;
}

}  // namespace

bool is_png(std::string_view file) {
  return file.starts_with(kMagic);
}

ImageHeader parse_png_header(std::string_view file, const fs::path& path) {
  check(file.size() >= 33 && big_endian_32(file, 8) == 13 && file.substr(12, 4) == "IHDR",
        "cannot read '{}': truncated or damaged PNG header", path.string());
  check(crc32(file.substr(12, 17)) == big_endian_32(file, 29), "cannot read '{}': damaged PNG header (wrong CRC)",
        path.string());
  ImageHeader header;
  header.format = ImageHeader::Format::png;
  header.width = big_endian_32(file, 16);
  header.height = big_endian_32(file, 20);
  header.bit_depth = static_cast<unsigned char>(file[24]);
  const auto color_type = static_cast<unsigned char>(file[25]);
  constexpr std::array<int, 7> kChannels = {1, 0, 3, 3, 2, 0, 4};
  check(color_type < kChannels.size() && kChannels[color_type] != 0,
        "cannot read '{}': PNG colour type {} does not exist", path.string(), color_type);
  header.channels = kChannels[color_type];
  header.palette = color_type == 3;
  const int bits = header.bit_depth;
  check(bits == 8 || (bits == 16 && !header.palette) ||
            ((bits == 1 || bits == 2 || bits == 4) && (color_type == 0 || header.palette)),
        "cannot read '{}': a PNG of colour type {} cannot have {} bits a channel", path.string(), color_type, bits);
  check(file[26] == 0 && file[27] == 0 && (file[28] == 0 || file[28] == 1),
        "cannot read '{}': its PNG header names a compression, filter or interlace method that does not exist",
        path.string());
  header.orientation = find_orientation(file);
  return header;
}

PngContent read_png_chunks(std::string_view file, const fs::path& path) {
  PngContent png;
  png.header = parse_png_header(file, path);
  png.is_interlaced = file[28] == 1;
  std::size_t at = kMagic.size();
  while (true) {
    check(at + 12 <= file.size() && big_endian_32(file, at) <= file.size() - at - 12,
          "cannot read '{}': truncated PNG, it ends after {} bytes in the middle of a chunk", path.string(),
          file.size());
    const std::size_t length = big_endian_32(file, at);
    const std::string_view type = file.substr(at + 4, 4);
    check(crc32(file.substr(at + 4, length + 4)) == big_endian_32(file, at + 8 + length),
          "cannot read '{}': damaged PNG, wrong CRC in the chunk at byte {}", path.string(), at);
    if (type == "IDAT") {
      png.data.push_back(file.substr(at + 8, length));
    }
    png.has_transparency = png.has_transparency || type == "tRNS";
    at += length + 12;
    if (type == "IEND") {
      check(!png.data.empty(), "cannot read '{}': PNG without image data", path.string());
      return png;
    }
  }
}

bool is_plain_png(const PngContent& png) {
  const ImageHeader& header = png.header;
  return !png.is_interlaced && !header.palette &&
         (header.bit_depth == 8 || (header.bit_depth == 16 && header.channels == 1));
}

template <typename T>
Image<T> decode_png(const PngContent& png, std::int64_t channels, const Selection& selection, const fs::path& path) {
  const ImageHeader& header = png.header;
  check(is_plain_png(png) && header.bit_depth == static_cast<int>(sizeof(T) * 8) &&
            (channels == 3 || (channels == 1 && header.channels == 1)),
        "cannot read '{}': a PNG of {} channels of {} bits was taken for another kind", path.string(), header.channels,
        header.bit_depth);
  const auto width = static_cast<std::size_t>(header.width);
  const std::size_t length = row_bytes(header);
  const std::size_t stride = 1 + length;
  const auto bytes = inflate(png, path);
  std::uint8_t* const rows = bytes.get() + stride;
  undo_needed_filters(rows, header, sizeof(T), selection, path);

  Image<T> image;
  image.height = selection.rows.empty() ? header.height : static_cast<std::int64_t>(selection.rows.size());
  image.width = selection.columns.empty() ? header.width : static_cast<std::int64_t>(selection.columns.size());
  image.channels = channels;
  image.pixels.reserve(static_cast<std::size_t>(image.height * image.width * channels));
  const CopyRow<T> copy = choose_copy<T>(header.channels, channels);
  const std::size_t out_stride = static_cast<std::size_t>(image.width * channels);
  for (std::size_t i = 0; i < static_cast<std::size_t>(image.height); ++i) {
    const std::size_t row = selection.rows.empty() ? i : static_cast<std::size_t>(selection.rows[i]);
    image.pixels.resize((i + 1) * out_stride);  // row by row: its zeros stay in the cache
    copy(rows + row * stride + 1, selection.columns, width, image.pixels.data() + i * out_stride);
  }
  return image;
}

template Image<std::uint8_t> decode_png(const PngContent&, std::int64_t, const Selection&, const fs::path&);
template Image<std::uint16_t> decode_png(const PngContent&, std::int64_t, const Selection&, const fs::path&);

std::size_t inflate_png(const PngContent& png, const fs::path& path) {
  inflate(png, path);
  return static_cast<std::size_t>(png.header.height) * (1 + row_bytes(png.header));
}

}  // namespace xtasc::io
