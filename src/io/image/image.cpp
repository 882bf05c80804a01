#include "io/image/image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/content.hpp"
#include "io/file.hpp"
#include "io/image/exif.hpp"
#include "io/image/jpeg.hpp"
#include "io/image/png.hpp"
#include "io/image/png_encode.hpp"
#include "io/image/png_general.hpp"

namespace xtasc::io {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHeadBytes = std::size_t{64} * 1024;
constexpr std::string_view kWanted = "a PNG or JPEG image";

/// \param is_whole  whether `file` is all of the file, or its beginning only.
std::optional<ImageHeader> parse_header(std::string_view file, bool is_whole, const fs::path& path) {
  std::optional<ImageHeader> header;
  if (is_png(file)) {
    header = parse_png_header(file, path);
  } else if (file.starts_with(kJpegMagic)) {
    header = parse_jpeg_header(file, path);
    if (!header && !is_whole) {
      return std::nullopt;
    }
    check(header.has_value(), "cannot read '{}': truncated within its JPEG header", path.string());
  } else {
    fail("cannot read '{}': found {}, {} is expected{}", path.string(), describe_content(file), kWanted,
         picture_format(file).empty() ? "" : ": save it as PNG");
  }
  check(header->height > 0 && header->width > 0, "cannot read '{}': its header says {} x {} pixels", path.string(),
        header->height, header->width);
  return header;
}

ImageHeader checked_header(std::string_view file, const ImageRules& rules, const fs::path& path) {
  check(file.size() < (std::size_t{1} << 30), "cannot read '{}': {} bytes are too many for one image", path.string(),
        file.size());
  const ImageHeader header = *parse_header(file, true, path);
  check_image_rules(header, rules, path);
  return header;
}

/// The selected pixels of an image that was decoded whole.
template <typename T>
Image<T> pick(Image<T> image, const Selection& selection) {
  if (selection.rows.empty() && selection.columns.empty()) {
    return image;
  }
  Image<T> picked;
  picked.height = selection.rows.empty() ? image.height : static_cast<std::int64_t>(selection.rows.size());
  picked.width = selection.columns.empty() ? image.width : static_cast<std::int64_t>(selection.columns.size());
  picked.channels = image.channels;
  picked.pixels.reserve(static_cast<std::size_t>(picked.height * picked.width * picked.channels));
  for (std::int64_t row = 0; row < picked.height; ++row) {
    const std::int64_t from_row = selection.rows.empty() ? row : selection.rows[static_cast<std::size_t>(row)];
    for (std::int64_t column = 0; column < picked.width; ++column) {
      const std::int64_t from_column =
          selection.columns.empty() ? column : selection.columns[static_cast<std::size_t>(column)];
      const auto* pixel = image.pixels.data() + (from_row * image.width + from_column) * image.channels;
      picked.pixels.insert(picked.pixels.end(), pixel, pixel + image.channels);
    }
  }
  return picked;
}

/// The selected pixels of an image as `rules` use it.
/// \param decode  gives the image of a Selection, in which no pixel lies elsewhere than it is stored
template <typename T>
Image<T> decode_selected(const ImageHeader& header, const ImageRules& rules, const Selection& selection,
                         const auto& decode) {
  Image<T> image;
  if (header.orientation != 1 && rules.orientation == Orientation::apply) {
    image = pick(oriented<T>(decode(Selection{}), header.orientation), selection);
  } else {
    image = decode(selection);
  }
  image.orientation = header.orientation;
  return image;
}

/// \param check_kind  throws unless the PNG has one channel that T holds
template <typename T>
Image<T> read_one_channel(const fs::path& path, const ImageRules& rules, const Selection& selection,
                          const auto& check_kind) {
  const std::string file = read_file(path, kWanted);
  const ImageHeader header = checked_header(file, rules, path);
  check_kind(header);
  const PngContent png = read_png_chunks(file, path);
  check(header.palette || !png.has_transparency, "cannot read '{}': a transparent colour makes its values ambiguous",
        path.string());
  return decode_selected<T>(header, rules, selection, [&](const Selection& wanted) {
    return is_plain_png(png) ? decode_png<T>(png, 1, wanted, path)
                             : pick(decode_general_png<T>(file, header, 1, path), wanted);
  });
}

template <typename T>
Image<T> read_grey_image(const fs::path& path, const ImageRules& rules, const Selection& selection) {
  return read_one_channel<T>(path, rules, selection, [&path](const ImageHeader& header) {
    check_grey_png(header, static_cast<int>(sizeof(T) * 8), path);
  });
}

/// "PNG of 3 channels of 8 bits with a palette".
std::string kind_text(const ImageHeader& header) {
  const int channels = header.palette ? 1 : header.channels;
  return fmt::format("{} of {} channel{} of {} bits{}", header.format == ImageHeader::Format::png ? "PNG" : "JPEG",
                     channels, channels == 1 ? "" : "s", header.bit_depth, header.palette ? " with a palette" : "");
}

void check_pixel_count(const fs::path& path, std::size_t found, std::int64_t height, std::int64_t width,
                       std::int64_t channels) {
  check(height > 0 && width > 0 && height < (1 << 20) && width < (1 << 20) && (channels == 1 || channels == 3) &&
            found == static_cast<std::size_t>(height * width * channels),
        "cannot write '{}': {} values do not make {} x {} pixels of {} channels", path.string(), found, height, width,
        channels);
}

}  // namespace

std::string remarks_text(std::size_t num_pictures, const std::string& first) {
  return num_pictures == 1
             ? fmt::format("1 picture is odd in a way that no pixel depends on: {}", first)
             : fmt::format("{} pictures are odd in a way that no pixel depends on: {}, ...", num_pictures, first);
}

ImageHeader read_image_header(const fs::path& path) {
  const std::string head = read_head(path, kHeadBytes, kWanted);
  const auto header = parse_header(head, head.size() < kHeadBytes, path);
  return header ? *header : read_whole_image_header(path);
}

ImageHeader read_whole_image_header(const fs::path& path) {
  return *parse_header(read_file(path, kWanted), true, path);
}

void check_image_rules(const ImageHeader& header, const ImageRules& rules, const fs::path& path) {
  const bool is_turned = header.orientation != 1;
  check(!is_turned || rules.orientation != Orientation::refuse,
        "cannot use '{}': its EXIF orientation {} says that the stored pixels are to be {}; {}", path.string(),
        header.orientation, orientation_words(header.orientation), rules.turn_advice);
  if (rules.height && rules.width) {
    std::int64_t height = header.height, width = header.width;
    if (rules.orientation == Orientation::apply && orientation_swaps(header.orientation)) {
      std::swap(height, width);
    }
    std::string advice;
    if (height == *rules.width && width == *rules.height && height != width) {
      advice = orientation_swaps(header.orientation)
                   ? fmt::format("; its EXIF orientation {} says that the stored pixels are to be {}, which {}",
                                 header.orientation, orientation_words(header.orientation),
                                 rules.orientation == Orientation::apply ? "was done" : "would make the sizes fit")
                   : rules.swapped_advice;
    }
    check(height == *rules.height && width == *rules.width,
          "cannot use '{}': {} x {} pixels (height x width), {} x {} are expected{}", path.string(), height, width,
          *rules.height, *rules.width, advice);
  }
  check(header.height <= rules.max_pixels / header.width,
        "cannot use '{}': its header says {} x {} pixels, more than the {} that are accepted", path.string(),
        header.height, header.width, rules.max_pixels);
}

void check_grey_png(const ImageHeader& header, int bit_depth, const fs::path& path) {
  const bool is_png = header.format == ImageHeader::Format::png;
  check(is_png && header.channels == 1 && !header.palette && header.bit_depth == bit_depth,
        "cannot use '{}': a {}, a grey PNG of {} bits is expected", path.string(), kind_text(header), bit_depth);
}

void check_label_png(const ImageHeader& header, const fs::path& path) {
  const bool is_png = header.format == ImageHeader::Format::png;
  const bool has_one = header.channels == 1 || header.palette;
  check(is_png && has_one && header.bit_depth <= 8,
        "cannot use '{}': a {}, a PNG of one channel of 8 bits or fewer is expected{}", path.string(),
        kind_text(header),
        !is_png   ? ": a JPEG changes labels, so save them anew from where they came from"
        : has_one ? ""
                  : ": save each pixel's class as a number, grey or with a palette whose index it is");
}

void check_picture(const ImageHeader& header, const fs::path& path) {
  check(header.bit_depth <= 8, "cannot use '{}': {} bits a channel, 8 are expected", path.string(), header.bit_depth);
}

Image<std::uint8_t> read_rgb_image(const fs::path& path, const ImageRules& rules, const Selection& selection) {
  const std::string file = read_file(path, kWanted);
  const ImageHeader header = checked_header(file, rules, path);
  check_picture(header, path);
  std::optional<PngContent> png;
  if (header.format == ImageHeader::Format::png) {
    png = read_png_chunks(file, path);
  }
  std::string remark;
  Image<std::uint8_t> image = decode_selected<std::uint8_t>(header, rules, selection, [&](const Selection& wanted) {
    if (png && is_plain_png(*png)) {
      return decode_png<std::uint8_t>(*png, 3, wanted, path);
    }
    Image<std::uint8_t> whole =
        png ? decode_general_png<std::uint8_t>(file, header, 3, path) : decode_jpeg(file, header, path);
    remark = std::move(whole.remark);
    return pick(std::move(whole), wanted);
  });
  image.remark = std::move(remark);
  return image;
}

Image<std::uint8_t> read_grey8_image(const fs::path& path, const ImageRules& rules, const Selection& selection) {
  return read_grey_image<std::uint8_t>(path, rules, selection);
}

Image<std::uint8_t> read_label_image(const fs::path& path, const ImageRules& rules, const Selection& selection) {
  return read_one_channel<std::uint8_t>(path, rules, selection,
                                        [&path](const ImageHeader& header) { check_label_png(header, path); });
}

Image<std::uint16_t> read_grey16_image(const fs::path& path, const ImageRules& rules, const Selection& selection) {
  return read_grey_image<std::uint16_t>(path, rules, selection);
}

void write_png(const fs::path& path, std::span<const std::uint8_t> pixels, std::int64_t height, std::int64_t width,
               std::int64_t channels, PngEffort effort) {
  check_pixel_count(path, pixels.size(), height, width, channels);
  write_file_atomically(path, encode_png(pixels, height, width, channels, effort, path));
}

void write_png(const fs::path& path, std::span<const std::uint16_t> pixels, std::int64_t height, std::int64_t width,
               PngEffort effort) {
  check_pixel_count(path, pixels.size(), height, width, 1);
  write_file_atomically(path, encode_png(pixels, height, width, 1, effort, path));
}

}  // namespace xtasc::io
