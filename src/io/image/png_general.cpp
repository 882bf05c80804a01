#include "io/image/png_general.hpp"

#include <png.h>

#include <array>
#include <bit>
#include <csetjmp>
#include <cstring>

#include "core/error.hpp"

namespace xtasc::io {

namespace {

namespace fs = std::filesystem;

/// What libpng's callbacks see: the bytes that it has not read yet, and why it gave up.
struct Source {
  std::string_view rest;
  std::array<char, 128> reason;
};

extern "C" {

[[noreturn]] static void jump_out(png_structp png, png_const_charp message) {
  auto& reason = static_cast<Source*>(png_get_error_ptr(png))->reason;
  std::strncpy(reason.data(), message, reason.size() - 1);
  png_longjmp(png, 1);
}

static void print_nothing(png_structp /*png*/, png_const_charp /*message*/) {}

static void read_bytes(png_structp png, png_bytep out, std::size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (count > source->rest.size()) {
    png_error(png, "it is truncated");
  }
  std::memcpy(out, source->rest.data(), count);
  source->rest.remove_prefix(count);
}

}  // extern "C"

/// A decoder and its memory. The caller of libpng owns it, so that an error, which jumps, skips no destructor.
struct Decoder {
  Source source;
  png_structp png;
  png_infop info;

  explicit Decoder(std::string_view file)
      : source{file, {}},
        png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, jump_out, print_nothing)),
        info(png != nullptr ? png_create_info_struct(png) : nullptr) {}
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

enum class Pixels { rgb, stored };

/// Reads up to the image data and chooses the conversions. \returns  whether that worked; decoder.source.reason says
/// why not. Here and in read_pixels nothing has a destructor, since errors leave by longjmp.
bool start(Decoder& decoder, Pixels pixels) {
  png_structp png = decoder.png;
  if (setjmp(png_jmpbuf(png)) != 0) {
    return false;
  }
  png_set_read_fn(png, &decoder.source, read_bytes);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr,
                              -1);  // also all known ones that are not about pixels
  png_read_info(png, decoder.info);
  if (pixels == Pixels::rgb) {
    png_set_palette_to_rgb(png);
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
  } else {
    png_set_packing(png);  // a byte for each number of fewer bits
  }
  if constexpr (std::endian::native == std::endian::little) {
    png_set_swap(png);  // 16 bits only
  }
  return true;
}

/// Decodes `height` rows of `row_bytes` into `out`, which is zero. \returns  as start().
bool read_pixels(Decoder& decoder, png_bytep out, std::size_t height, std::size_t row_bytes) {
  png_structp png = decoder.png;
  if (setjmp(png_jmpbuf(png)) != 0) {
    return false;
  }
  const int num_passes = png_set_interlace_handling(png);
  png_read_update_info(png, decoder.info);
  if (png_get_rowbytes(png, decoder.info) != row_bytes || png_get_image_height(png, decoder.info) != height) {
    png_error(png, "its chunks contradict each other");
  }
  for (int pass = 0; pass < num_passes; ++pass) {
    for (std::size_t y = 0; y < height; ++y) {
      png_read_row(png, out + y * row_bytes, nullptr);
    }
  }
  png_read_end(png, nullptr);
  return true;
}

}  // namespace

template <typename T>
Image<T> decode_general_png(std::string_view file, const ImageHeader& header, std::int64_t channels,
                            const fs::path& path) {
  Decoder decoder(file);
  check(decoder.info != nullptr, "cannot read '{}': libpng finds no memory", path.string());
  const auto check_decoder = [&](bool is_good) {
    check(is_good, "cannot read '{}': damaged PNG, {}", path.string(), decoder.source.reason.data());
  };
  check_decoder(start(decoder, channels == 3 ? Pixels::rgb : Pixels::stored));
  Image<T> image{header.height, header.width, channels, {}};
  const auto row_values = static_cast<std::size_t>(image.width * image.channels);
  image.pixels.resize(static_cast<std::size_t>(image.height) * row_values);
  check_decoder(read_pixels(decoder, reinterpret_cast<png_bytep>(image.pixels.data()),
                            static_cast<std::size_t>(image.height), row_values * sizeof(T)));
  return image;
}

template Image<std::uint8_t> decode_general_png(std::string_view, const ImageHeader&, std::int64_t, const fs::path&);
template Image<std::uint16_t> decode_general_png(std::string_view, const ImageHeader&, std::int64_t, const fs::path&);

}  // namespace xtasc::io
