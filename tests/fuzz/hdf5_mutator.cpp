// Mutates as libFuzzer does; with FUZZ_REPAIR_CHECKSUMS=1 in the environment it then makes the checksums of the
// superblock and of the object headers right again, as damage never does, so that inputs come past them to the reader's
// own checks. HDF5 1.10.8 itself does not survive that for long: use it with -fork=1 -ignore_crashes=1 and look at the
// stacks.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

std::uint32_t get(const std::uint8_t* at) {
  return at[0] | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24;
}

void put(std::uint8_t* at, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) {
    at[i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

std::uint32_t rotated(std::uint32_t value, int bits) {
  return value << bits | value >> (32 - bits);
}

/// Bob Jenkins' lookup3, hashlittle(), with 0 to begin with. Source: http://burtleburtle.net/bob/c/lookup3.c
std::uint32_t lookup3(const std::uint8_t* bytes, std::size_t size) {
  std::uint32_t a = 0xdeadbeef + static_cast<std::uint32_t>(size);
  std::uint32_t b = a;
  std::uint32_t c = a;
  std::uint8_t last[12] = {};
  for (; size > 12; bytes += 12, size -= 12) {
    a += get(bytes);
    b += get(bytes + 4);
    c += get(bytes + 8);
    a = (a - c) ^ rotated(c, 4), c += b;
    b = (b - a) ^ rotated(a, 6), a += c;
    c = (c - b) ^ rotated(b, 8), b += a;
    a = (a - c) ^ rotated(c, 16), c += b;
    b = (b - a) ^ rotated(a, 19), a += c;
    c = (c - b) ^ rotated(b, 4), b += a;
  }
  if (size == 0) {
    return c;
  }
  std::memcpy(last, bytes, size);
  a += get(last);
  b += get(last + 4);
  c += get(last + 8);
  c = (c ^ b) - rotated(b, 14);
  a = (a ^ c) - rotated(c, 11);
  b = (b ^ a) - rotated(a, 25);
  c = (c ^ b) - rotated(b, 16);
  a = (a ^ c) - rotated(c, 4);
  b = (b ^ a) - rotated(a, 14);
  return (c ^ b) - rotated(b, 24);
}

/// The checksum stands behind the `size` bytes that it is of.
void repair_block(std::uint8_t* data, std::size_t file_size, std::size_t at, std::size_t size) {
  if (size <= file_size && at + size + 4 <= file_size) {
    put(data + at + size, lookup3(data + at, size));
  }
}

/// Source: HDF5 File Format Specification 3.0, II.A (superblock 2 and 3) and IV.A.1.b (object header 2).
void repair(std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kSuperblockBytes = 44;
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  repair_block(data, size, 0, kSuperblockBytes);
  for (std::size_t at = file.find("OHDR"); at != std::string_view::npos && at + 32 < size;
       at = file.find("OHDR", at + 1)) {
    const unsigned flags = data[at + 5];
    const std::size_t prefix = 6 + ((flags & 0x20U) != 0 ? 16U : 0U) + ((flags & 0x10U) != 0 ? 4U : 0U);
    const std::size_t length_bytes = std::size_t{1} << (flags & 3U);
    std::size_t length = 0;
    for (std::size_t i = length_bytes; i-- > 0;) {
      length = length << 8 | data[at + prefix + i];
    }
    repair_block(data, size, at, prefix + length_bytes + length);
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  const std::size_t new_size = LLVMFuzzerMutate(data, size, max_size);
  static const bool repairs = std::getenv("FUZZ_REPAIR_CHECKSUMS") != nullptr;
  if (repairs && seed % 4 != 0) {
    repair(data, new_size);
  }
  return new_size;
}
