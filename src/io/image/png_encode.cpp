#include "io/image/png_encode.hpp"

#include <png.h>
#include <zlib.h>

#include <array>
#include <bit>
#include <csetjmp>
#include <cstring>
#include <new>

#include "core/error.hpp"

namespace xtasc::io {

namespace {

namespace fs = std::filesystem;

/// What libpng's callbacks see: the file so far, and why libpng gave up.
struct Sink {
  std::vector<std::byte> file;
  std::array<char, 128> reason;
};

extern "C" {

[[noreturn]] static void jump_out(png_structp png, png_const_charp message) {
  auto& reason = static_cast<Sink*>(png_get_error_ptr(png))->reason;
  std::strncpy(reason.data(), message, reason.size() - 1);
  png_longjmp(png, 1);
}

static void print_nothing(png_structp /*png*/, png_const_charp /*message*/) {}

static void append_bytes(png_structp png, png_bytep bytes, std::size_t count) {
  auto& file = static_cast<Sink*>(png_get_io_ptr(png))->file;
  bool has_memory = true;
  try {
    const auto* first = reinterpret_cast<const std::byte*>(bytes);
    file.insert(file.end(), first, first + count);
  } catch (const std::bad_alloc&) {  // must not pass through libpng
    has_memory = false;
  }
  if (!has_memory) {
    png_error(png, "no memory");
  }
}

static void flush_nothing(png_structp /*png*/) {}

}  // extern "C"

/// An encoder and its memory. The caller of libpng owns it, so that an error, which jumps, skips no destructor.
struct Encoder {
  Sink sink{};
  png_structp png;
  png_infop info;

  Encoder()
      : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, &sink, jump_out, print_nothing)),
        info(png != nullptr ? png_create_info_struct(png) : nullptr) {}
  ~Encoder() { png_destroy_write_struct(&png, &info); }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
};

/// Rows of pixels, as they lie in memory.
struct Rows {
  const std::uint8_t* first;
  std::size_t row_bytes;
  png_uint_32 height, width;
  int bit_depth;
  bool is_rgb;
};

/// \returns  whether that worked; encoder.sink.reason says why not. Nothing in here has a destructor.
bool write_rows(Encoder& encoder, const Rows& rows, PngEffort effort) {
  png_structp png = encoder.png;
  if (setjmp(png_jmpbuf(png)) != 0) {
    return false;
  }
  png_set_write_fn(png, &encoder.sink, append_bytes, flush_nothing);
  if (effort == PngEffort::quick) {
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
    png_set_compression_level(png, Z_BEST_SPEED);
    png_set_compression_strategy(png, Z_RLE);
  } else {
    png_set_compression_level(png, 6);
    png_set_compression_strategy(png, Z_DEFAULT_STRATEGY);
  }
  png_set_IHDR(png, encoder.info, rows.width, rows.height, rows.bit_depth,
               rows.is_rgb ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, encoder.info);
  if constexpr (std::endian::native == std::endian::little) {
    png_set_swap(png);  // 16 bits only
  }
  for (png_uint_32 y = 0; y < rows.height; ++y) {
    png_write_row(png, rows.first + y * rows.row_bytes);
  }
  png_write_end(png, encoder.info);
  return true;
}

}  // namespace

template <typename T>
std::vector<std::byte> encode_png(std::span<const T> pixels, std::int64_t height, std::int64_t width,
                                  std::int64_t channels, PngEffort effort, const fs::path& path) {
  Encoder encoder;
  check(encoder.info != nullptr, "cannot encode '{}' as PNG: libpng finds no memory", path.string());
  const Rows rows{.first = reinterpret_cast<const std::uint8_t*>(pixels.data()),
                  .row_bytes = static_cast<std::size_t>(width * channels) * sizeof(T),
                  .height = static_cast<png_uint_32>(height),
                  .width = static_cast<png_uint_32>(width),
                  .bit_depth = static_cast<int>(8 * sizeof(T)),
                  .is_rgb = channels == 3};
  check(write_rows(encoder, rows, effort), "cannot encode '{}' as PNG: {}", path.string(), encoder.sink.reason.data());
  return std::move(encoder.sink.file);
}

template std::vector<std::byte> encode_png(std::span<const std::uint8_t>, std::int64_t, std::int64_t, std::int64_t,
                                           PngEffort, const fs::path&);
template std::vector<std::byte> encode_png(std::span<const std::uint16_t>, std::int64_t, std::int64_t, std::int64_t,
                                           PngEffort, const fs::path&);

}  // namespace xtasc::io
