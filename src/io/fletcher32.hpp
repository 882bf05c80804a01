#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace xtasc::io {

/// The checksum of HDF5's filter H5Z_FILTER_FLETCHER32, at the speed of memory.
///
///     words w_1 ... w_n of 16 bits, big endian; a last odd byte is the high one of its word
///     low half  = sum_i w_i,  high half = sum_i (n + 1 - i) w_i,  both mod 65535, where 0 stands for the sum 0 only
///
/// Source: "Fletcher32 checksum" and H5_checksum_fletcher32 of the HDF5 library; tests compare with it.
[[nodiscard]] std::uint32_t fletcher32(std::span<const std::byte> bytes);

/// Whether `stored`, the four bytes behind a chunk (little endian), is the checksum of the chunk. As HDF5 does, this
/// accepts the one that HDF5 1.6.2 and older wrote on little endian machines, with the bytes of both halves swapped.
[[nodiscard]] bool fletcher32_matches(std::span<const std::byte> bytes, std::uint32_t stored);

}  // namespace xtasc::io
