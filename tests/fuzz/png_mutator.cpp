// Mutates as libFuzzer does, and then makes the chunks' CRCs right again: without that, hardly an input would come past
// them to the decoder.
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

constexpr std::string_view kMagic = "\x89PNG\r\n\x1a\n";

std::uint32_t get(const std::uint8_t* at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}

void put(std::uint8_t* at, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    *at++ = static_cast<std::uint8_t>(value >> shift);
  }
}

/// A chunk is a length, a type of four bytes, so many bytes, and the CRC of type and bytes.
void repair(std::uint8_t* data, std::size_t size) {
  if (size < kMagic.size() || std::memcmp(data, kMagic.data(), kMagic.size()) != 0) {
    return;
  }
  std::size_t at = kMagic.size();
  while (at + 12 <= size) {
    const std::size_t length = get(data + at);
    if (length > size - at - 12) {
      return;
    }
    put(data + at + 8 + length, static_cast<std::uint32_t>(crc32(0, data + at + 4, static_cast<uInt>(length + 4))));
    at += length + 12;
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  const std::size_t new_size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 != 0) {
    repair(data, new_size);
  }
  return new_size;
}
