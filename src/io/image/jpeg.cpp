#include "io/image/jpeg.hpp"

// jpeglib.h wants size_t and FILE declared before it.
#include <cstddef>
#include <cstdio>
// clang-format off
#include <jerror.h>
#include <jpeglib.h>
// clang-format on

#include <algorithm>
#include <array>
#include <csetjmp>
#include <optional>
#include <string>
#include <utility>

#include "core/error.hpp"
#include "io/image/exif.hpp"

namespace xtasc::io {

namespace {

namespace fs = std::filesystem;

constexpr unsigned char kApp1 = 0xe1, kStartOfScan = 0xda, kEndOfImage = 0xd9;

std::uint32_t big_endian(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

using Message = std::array<char, JMSG_LENGTH_MAX>;

/// libjpeg's error manager, which has to be the first member, and where to go on after an error.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf escape;
  Message message;  ///< why it gave up
  Message remark;   ///< the first warning that was let pass
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

/// Warnings that no pixel depends on pass; behind the first scan's header, stray bytes may be what is left of pixels.
static void judge_warning(j_common_ptr info, int level) {
  if (level >= 0) {  // a trace
    return;
  }
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  const bool is_before_scans = reinterpret_cast<j_decompress_ptr>(info)->input_scan_number == 0;
  const int code = info->err->msg_code;
  if (code != JWRN_JFIF_MAJOR && code != JWRN_NOT_SEQUENTIAL && !(code == JWRN_EXTRANEOUS_DATA && is_before_scans)) {
    jump_out(info);
  }
  if (errors->remark[0] == '\0') {
    info->err->format_message(info, errors->remark.data());
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

/// Starts a decoder and reads up to the scan. \returns  whether that worked; decoder.errors.message says why not.
/// Here and in read_pixels nothing has a destructor, since errors leave by longjmp.
bool start(Decoder& decoder, const unsigned char* bytes, std::size_t size) {
  jpeg_decompress_struct& info = decoder.info;
  info.err = jpeg_std_error(&decoder.errors.base);
  info.err->error_exit = jump_out;
  info.err->emit_message = judge_warning;
  info.err->output_message = print_nothing;
  if (setjmp(decoder.errors.escape) != 0) {
    return false;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes, static_cast<unsigned long>(size));
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

/// What is odd and harmless about a file that was decoded; empty: nothing. Some cameras pad.
std::string remark_of(const Decoder& decoder, std::string_view file) {
  std::string remark = decoder.errors.remark.data();
  const std::string_view rest = file.substr(file.size() - decoder.info.src->bytes_in_buffer);
  if (rest.find_first_not_of(std::string_view("\0\n\r ", 4)) != std::string_view::npos) {
    remark += fmt::format("{}{} bytes behind its end mark", remark.empty() ? "" : ", ", rest.size());
  }
  return remark;
}

/// The orientation in the segment at `at`, of `size` bytes behind its marker; nothing when it is no EXIF block.
std::optional<int> segment_orientation(std::string_view file, std::size_t at, std::size_t size) {
  const std::string_view content = file.substr(at + 4, size - std::min<std::size_t>(size, 2));
  if (static_cast<unsigned char>(file[at + 1]) != kApp1 || !content.starts_with(kExifMagic)) {
    return std::nullopt;
  }
  return exif_orientation(content.substr(kExifMagic.size()));
}

/// The EXIF orientation from the segments between the frame header and the scan, where few files have it: what is
/// damaged there is the decoder's to judge.
std::optional<int> later_orientation(std::string_view file, std::size_t at) {
  while (true) {
    at = file.find('\xff', at);
    if (at == std::string_view::npos || at + 4 > file.size()) {
      return std::nullopt;
    }
    const auto marker = static_cast<unsigned char>(file[at + 1]);
    if (marker == kStartOfScan || marker == kEndOfImage) {
      return std::nullopt;
    }
    if (marker == 0xff || marker == 0) {
      ++at;
      continue;
    }
    const std::size_t size = big_endian(file, at + 2, 2);
    if (const auto orientation = segment_orientation(file, at, size)) {
      return orientation;
    }
    at += 2 + size;
  }
}

}  // namespace

std::optional<ImageHeader> parse_jpeg_header(std::string_view file, const fs::path& path) {
  std::size_t at = 2;
  std::optional<int> orientation;
  while (at + 4 <= file.size()) {
    at = std::min(file.find('\xff', at), file.size());
    if (at + 4 > file.size()) {
      return std::nullopt;
    }
    const auto marker = static_cast<unsigned char>(file[at + 1]);
    if (marker == 0xff || marker == 0) {  // a fill byte, or a stray one
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
      if (!orientation) {
        orientation = later_orientation(file, at + 2 + big_endian(file, at + 2, 2));
      }
      header.orientation = orientation.value_or(1);
      return header;
    }
    if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {  // these have no length
      at += 2;
      continue;
    }
    check(marker != kEndOfImage && marker != kStartOfScan, "cannot read '{}': JPEG without a frame header",
          path.string());
    const std::size_t size = big_endian(file, at + 2, 2);
    if (!orientation) {  // the first one counts
      orientation = segment_orientation(file, at, size);
    }
    at += 2 + size;
  }
  return std::nullopt;
}

Image<std::uint8_t> decode_jpeg(std::string_view file, const ImageHeader& header, const fs::path& path) {
  Decoder decoder;
  const auto check_decoder = [&](bool is_good) {
    if (!is_good) {
      check(decoder.errors.base.msg_code != JWRN_JPEG_EOF,
            "cannot read '{}': truncated JPEG, it does not end with the end mark after {} bytes", path.string(),
            file.size());
      const std::string_view reason = decoder.errors.message.data();
      fail("cannot read '{}': {}{}", path.string(), reason.starts_with("Unsupported") ? "" : "damaged JPEG, ", reason);
    }
  };
  check_decoder(start(decoder, reinterpret_cast<const unsigned char*>(file.data()), file.size()));
  check(decoder.info.image_width == header.width && decoder.info.image_height == header.height,
        "cannot read '{}': damaged JPEG, its headers say {} x {} and {} x {} pixels", path.string(), header.height,
        header.width, decoder.info.image_height, decoder.info.image_width);
  Image<std::uint8_t> image{header.height, header.width, 3, {}, header.orientation};
  image.pixels.resize(static_cast<std::size_t>(header.height * header.width * 3));
  check_decoder(read_pixels(decoder, image.pixels.data()));
  image.remark = remark_of(decoder, file);
  return image;
}

}  // namespace xtasc::io
