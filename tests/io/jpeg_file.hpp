#pragma once

// jpeglib.h wants size_t and FILE declared before it.
#include <cstddef>
#include <cstdio>
// clang-format off
#include <jpeglib.h>
// clang-format on

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

namespace xtasc::test {

struct JpegOptions {
  int quality = 95;
  bool is_progressive = false;
  unsigned restart_interval = 0;          ///< in blocks; 0: no marks
  J_COLOR_SPACE stored_as = JCS_UNKNOWN;  ///< libjpeg's own choice
  bool has_adobe_marker = false;
};

/// A JPEG of `pixels`, height x width x channels: grey (1), RGB (3) or CMYK (4).
inline std::string jpeg_file(std::span<const std::uint8_t> pixels, std::size_t height, std::size_t width,
                             std::size_t channels, const JpegOptions& options = {}) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = static_cast<JDIMENSION>(width);
  info.image_height = static_cast<JDIMENSION>(height);
  info.input_components = static_cast<int>(channels);
  info.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  if (options.stored_as != JCS_UNKNOWN) {
    jpeg_set_colorspace(&info, options.stored_as);
  }
  jpeg_set_quality(&info, options.quality, TRUE);
  if (options.is_progressive) {
    jpeg_simple_progression(&info);
  }
  info.restart_interval = options.restart_interval;
  info.write_Adobe_marker = options.has_adobe_marker ? TRUE : info.write_Adobe_marker;
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): the library only reads
    JSAMPROW row = const_cast<std::uint8_t*>(pixels.data()) + info.next_scanline * width * channels;
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string file(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return file;
}

}  // namespace xtasc::test
