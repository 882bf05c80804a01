#include "io/jpeg.hpp"

// jpeglib.h wants size_t and FILE declared before it.
#include <cstddef>
#include <cstdio>
// clang-format off
#include <jpeglib.h>
// clang-format on

#include <algorithm>
#include <array>
#include <csetjmp>
#include <string>
#include <utility>

#include "core/error.hpp"

namespace xtasc::io {

namespace {

namespace fs = std::filesystem;

constexpr int kApp1 = JPEG_APP0 + 1;
constexpr std::string_view kExifMagic("Exif\0\0", 6);

std::uint32_t big_endian(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

/// libjpeg's error manager, which has to be the first member, and where to go on after an error.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf escape;
  std::array<char, JMSG_LENGTH_MAX> message;
};

/// A decoder and its memory. The caller of libjpeg owns it, so that an error, which jumps, skips no destructor.
struct Decoder {
  jpeg_decompress_struct info{};
  ErrorManager errors{};

  Decoder() = default;
  ~Decoder() { jpeg_destroy_decompress(&info); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

extern "C" {

[[noreturn]] static void jump_out(j_common_ptr info) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, errors->message.data());
  std::longjmp(errors->escape, 1);
}

static void refuse_warning(j_common_ptr info, int level) {
  if (level < 0) {  // a warning; the others are traces
    jump_out(info);
  }
}

static void print_nothing(j_common_ptr /*info*/) {}

}  // extern "C"

/// One row of inverted CMYK, C' = 255 - C and so on, as Adobe writes it and libjpeg hands it out: the ink C over the
/// light K' that the black leaves. The rounding is OpenCV's, so that pixels do not depend on who reads the file:
/// https://github.com/opencv/opencv/blob/4.6.0/modules/imgcodecs/src/utils.cpp
void cmyk_to_rgb(const JSAMPLE* cmyk, std::uint8_t* rgb, std::size_t width) {
  for (std::size_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int light = cmyk[3];
    for (int c = 0; c < 3; ++c) {
      rgb[c] = static_cast<std::uint8_t>(light - (((255 - cmyk[c]) * light) >> 8));
    }
  }
}

/// The orientation 1 .. 8 of the first directory of a TIFF structure; 1, upright, when there is none.
/// Source: Exif 2.32 (CIPA DC-008-2019), 4.5 and 4.6.4, tag 274.
int tiff_orientation(std::string_view tiff) {
  constexpr std::uint32_t kOrientationTag = 274, kShortType = 3;
  const bool is_little = tiff.starts_with("II");
  if (tiff.size() < 8 || (!is_little && !tiff.starts_with("MM"))) {
    return 1;
  }
  const auto number = [&](std::size_t at, std::size_t count) {
    std::array<char, 4> bytes{};
    std::copy_n(tiff.begin() + static_cast<std::ptrdiff_t>(at), count, bytes.begin());
    if (is_little) {
      std::reverse(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    }
    return big_endian(std::string_view(bytes.data(), count), 0, count);
  };
  const std::size_t directory = number(4, 4);
  if (number(2, 2) != 42 || directory > tiff.size() - 2) {
    return 1;
  }
  const std::size_t num_entries = number(directory, 2);
  for (std::size_t i = 0, at = directory + 2; i < num_entries && at + 12 <= tiff.size(); ++i, at += 12) {
    if (number(at, 2) == kOrientationTag && number(at + 2, 2) == kShortType) {
      const auto value = static_cast<int>(number(at + 8, 2));
      return value >= 1 && value <= 8 ? value : 1;
    }
  }
  return 1;
}

int orientation_of(const jpeg_decompress_struct& info) {
  for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (marker->marker == kApp1 && data.starts_with(kExifMagic)) {
      return tiff_orientation(data.substr(kExifMagic.size()));
    }
  }
  return 1;
}

/// Starts a decoder and reads up to the scan. \returns  whether that worked; decoder.errors.message says why not.
/// Here and in read_pixels nothing has a destructor, since errors leave by longjmp.
bool start(Decoder& decoder, const unsigned char* bytes, std::size_t size) {
  jpeg_decompress_struct& info = decoder.info;
  info.err = jpeg_std_error(&decoder.errors.base);
  info.err->error_exit = jump_out;
  info.err->emit_message = refuse_warning;
  info.err->output_message = print_nothing;
  if (setjmp(decoder.errors.escape) != 0) {
    return false;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes, static_cast<unsigned long>(size));
  jpeg_save_markers(&info, kApp1, 0xffff);
  jpeg_read_header(&info, TRUE);
  return true;
}

/// Decodes into `rgb`, image_width x image_height x 3 values. \returns  as start().
bool read_pixels(Decoder& decoder, std::uint8_t* rgb) {
  jpeg_decompress_struct& info = decoder.info;
  if (setjmp(decoder.errors.escape) != 0) {
    return false;
  }
  const bool is_cmyk = info.num_components == 4;
  info.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  info.do_fancy_upsampling = TRUE;
  jpeg_start_decompress(&info);
  const std::size_t width = info.output_width;
  JSAMPARRAY cmyk_row =
      is_cmyk ? info.mem->alloc_sarray(reinterpret_cast<j_common_ptr>(&info), JPOOL_IMAGE, 4 * info.output_width, 1)
              : nullptr;
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = rgb + info.output_scanline * width * 3;
    jpeg_read_scanlines(&info, is_cmyk ? cmyk_row : &row, 1);
    if (is_cmyk) {
      cmyk_to_rgb(cmyk_row[0], row, width);
    }
  }
  jpeg_finish_decompress(&info);  // reads on to the end mark, and drops the saved markers
  return true;
}

/// A JPEG ends with the mark FF D9; libjpeg would look no further than its last row.
void check_end(std::string_view file, const fs::path& path) {
  const auto end = file.find_last_not_of(std::string_view("\0\n\r ", 4));  // some cameras pad
  const bool is_whole = end != std::string_view::npos && end > 0 && file[end] == '\xd9' && file[end - 1] == '\xff';
  check(is_whole, "cannot read '{}': truncated JPEG, it does not end with the end mark after {} bytes", path.string(),
        file.size());
}

/// The picture as its orientation 1 .. 8 means it; from 5 on rows become columns.
Image<std::uint8_t> oriented(Image<std::uint8_t> image, int orientation) {
  if (orientation == 1) {
    return image;
  }
  const bool swaps = orientation >= 5;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Image<std::uint8_t> turned{swaps ? image.width : image.height, swaps ? image.height : image.width, 3, {}};
  turned.pixels.resize(image.pixels.size());
  auto out = turned.pixels.begin();
  for (std::int64_t y = 0; y < turned.height; ++y) {
    for (std::int64_t x = 0; x < turned.width; ++x) {
      const std::int64_t row = swaps ? x : y, column = swaps ? y : x;
      const std::int64_t source_row = from_bottom ? image.height - 1 - row : row;
      const std::int64_t source_column = from_right ? image.width - 1 - column : column;
      out = std::copy_n(image.pixels.begin() + (source_row * image.width + source_column) * 3, 3, out);
    }
  }
  return turned;
}

}  // namespace

std::optional<ImageHeader> parse_jpeg_header(std::string_view file, const fs::path& path) {
  std::size_t at = 2;
  while (at + 4 <= file.size()) {
    check(file[at] == '\xff', "cannot read '{}': damaged JPEG header at byte {}", path.string(), at);
    const auto marker = static_cast<unsigned char>(file[at + 1]);
    if (marker == 0xff) {  // fill byte
      ++at;
      continue;
    }
    const bool is_frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (is_frame) {
      if (at + 10 > file.size()) {
        return std::nullopt;
      }
      ImageHeader header;
      header.format = ImageHeader::Format::jpeg;
      header.bit_depth = static_cast<unsigned char>(file[at + 4]);
      header.height = big_endian(file, at + 5, 2);
      header.width = big_endian(file, at + 7, 2);
      header.channels = static_cast<unsigned char>(file[at + 9]);
      return header;
    }
    check(marker != 0xd9 && marker != 0xda, "cannot read '{}': JPEG without a frame header", path.string());
    at += 2 + big_endian(file, at + 2, 2);
  }
  return std::nullopt;
}

Image<std::uint8_t> decode_jpeg(std::string_view file, const ImageHeader& header, bool apply_orientation,
                                const fs::path& path) {
  check_end(file, path);
  Decoder decoder;
  const auto check_decoder = [&](bool is_good) {
    if (!is_good) {
      const std::string_view reason = decoder.errors.message.data();
      fail("cannot read '{}': {}{}", path.string(), reason.starts_with("Unsupported") ? "" : "damaged JPEG, ", reason);
    }
  };
  check_decoder(start(decoder, reinterpret_cast<const unsigned char*>(file.data()), file.size()));
  check(decoder.info.image_width == header.width && decoder.info.image_height == header.height,
        "cannot read '{}': damaged JPEG, its headers say {} x {} and {} x {} pixels", path.string(), header.height,
        header.width, decoder.info.image_height, decoder.info.image_width);
  const int orientation = apply_orientation ? orientation_of(decoder.info) : 1;
  Image<std::uint8_t> image{header.height, header.width, 3, {}};
  image.pixels.resize(static_cast<std::size_t>(header.height * header.width * 3));
  check_decoder(read_pixels(decoder, image.pixels.data()));
  return oriented(std::move(image), orientation);
}

}  // namespace xtasc::io
