#include "io/inflate.hpp"

#include <libdeflate.h>

#include <memory>
#include <new>

namespace xtasc::io {

namespace {

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const noexcept { libdeflate_free_decompressor(decompressor); }
};

}  // namespace

Inflated inflate_zlib(std::span<const std::byte> stream, std::span<std::byte> out) {
  const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(libdeflate_alloc_decompressor());
  if (decompressor == nullptr) {
    throw std::bad_alloc();
  }
  switch (
      libdeflate_zlib_decompress(decompressor.get(), stream.data(), stream.size(), out.data(), out.size(), nullptr)) {
    case LIBDEFLATE_SUCCESS:
      return Inflated::whole;
    case LIBDEFLATE_SHORT_OUTPUT:
      return Inflated::too_short;
    case LIBDEFLATE_INSUFFICIENT_SPACE:
      return Inflated::too_long;
    case LIBDEFLATE_BAD_DATA:
      break;
  }
  return Inflated::damaged;
}

}  // namespace xtasc::io
