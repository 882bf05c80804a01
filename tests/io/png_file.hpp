#pragma once

#include <png.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace xtasc::test {

/// A PNG of one channel: grey, or indices of a palette of all colours that `bit_depth` has. \param numbers  height x
/// width, each below 2^bit_depth, 8 bits at most
inline std::string one_channel_png(std::span<const std::uint8_t> numbers, std::size_t height, std::size_t width,
                                   int bit_depth, bool has_palette, bool is_interlaced = false) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  const auto append = [](png_structp writer, png_bytep bytes, std::size_t count) {
    static_cast<std::string*>(png_get_io_ptr(writer))->append(reinterpret_cast<const char*>(bytes), count);
  };
  png_set_write_fn(png, &file, append, [](png_structp) {});
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), bit_depth,
               has_palette ? PNG_COLOR_TYPE_PALETTE : PNG_COLOR_TYPE_GRAY,
               is_interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_color palette[256];
  png_byte alpha[256];
  for (int i = 0; i < 256; ++i) {  // colours that say nothing of the index; index 0 is transparent
    const auto value = static_cast<png_byte>(255 - i);
    palette[i] = {value, static_cast<png_byte>(i * 7), 77};
    alpha[i] = i == 0 ? 0 : 255;
  }
  if (has_palette) {
    png_set_PLTE(png, info, palette, 1 << bit_depth);
    png_set_tRNS(png, info, alpha, 1, nullptr);
  }
  png_write_info(png, info);
  png_set_packing(png);
  const int num_passes = png_set_interlace_handling(png);
  for (int pass = 0; pass < num_passes; ++pass) {
    for (std::size_t row = 0; row < height; ++row) {
      png_write_row(png, numbers.data() + row * width);
    }
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

}  // namespace xtasc::test
