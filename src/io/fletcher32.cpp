#include "io/fletcher32.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/multiversion.hpp"

namespace xtasc::io {

namespace {

static_assert(std::endian::native == std::endian::little, "words are taken apart as little endian machines see them");

/// 16 pairs of words: the first of a pair is the low half.
using Pairs = std::uint32_t __attribute__((vector_size(64)));
constexpr std::size_t kLanes = sizeof(Pairs) / sizeof(std::uint32_t);
/// As many as can be summed in 32 bits: 65535 * (1 + 2 + ... + 360) < 2^32.
constexpr std::size_t kMaxVectors = 360;

/// Sums over words as a little endian machine reads them. 256 * 256 = 1 mod 65535, so the sums of swapped words are
/// the swapped sums: the bytes are swapped once, at the end.
struct Sums {
  std::uint64_t plain = 0, weighted = 0;
};

/// `value` mod 65535, but 65535 instead of 0 unless the value is 0.
XTASC_INLINE std::uint64_t reduced(std::uint64_t value) {
  while (value > 0xffff) {
    value = (value & 0xffff) + (value >> 16);
  }
  return value;
}

XTASC_INLINE void add_words(Sums& sums, std::uint64_t count, std::uint64_t plain, std::uint64_t weighted) {
  sums.weighted = reduced(sums.weighted + count * sums.plain + weighted);
  sums.plain = reduced(sums.plain + plain);
}

XTASC_INLINE void add_vectors(Sums& sums, const std::byte* bytes, std::size_t count) {
  Pairs first{}, second{}, first_weighted{}, second_weighted{};
  for (std::size_t i = 0; i < count; ++i) {
    Pairs pairs;
    std::memcpy(&pairs, bytes + i * sizeof(Pairs), sizeof(Pairs));
    first += pairs & 0xffff;
    second += pairs >> 16;
    first_weighted += first;  // so vector i comes in `count - i` times
    second_weighted += second;
  }
  std::uint64_t plain = 0, weighted = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const std::uint64_t a = first[lane], b = second[lane];
    plain += a + b;
    weighted += 2 * kLanes * (std::uint64_t{first_weighted[lane]} + second_weighted[lane]);
    weighted -= 2 * lane * a + (2 * lane + 1) * b;
  }
  add_words(sums, 2 * kLanes * count, plain, weighted);
}

XTASC_MULTIVERSION Sums sums_of(const std::byte* bytes, std::size_t size) {
  Sums sums;
  while (size >= sizeof(Pairs)) {
    const std::size_t count = std::min(size / sizeof(Pairs), kMaxVectors);
    add_vectors(sums, bytes, count);
    bytes += count * sizeof(Pairs);
    size -= count * sizeof(Pairs);
  }
  for (; size > 0; size -= std::min<std::size_t>(size, 2), bytes += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, bytes, std::min<std::size_t>(size, 2));
    add_words(sums, 1, word, word);
  }
  return sums;
}

/// Swaps the bytes of both halves.
std::uint32_t swapped(std::uint32_t value) {
  return (value & 0x00ff00ffU) << 8 | (value >> 8 & 0x00ff00ffU);
}

}  // namespace

std::uint32_t fletcher32(std::span<const std::byte> bytes) {
  const Sums sums = sums_of(bytes.data(), bytes.size());
  return swapped(static_cast<std::uint32_t>(sums.weighted << 16 | sums.plain));
}

bool fletcher32_matches(std::span<const std::byte> bytes, std::uint32_t stored) {
  const std::uint32_t expected = fletcher32(bytes);
  return stored == expected || stored == swapped(expected);
}

}  // namespace xtasc::io
