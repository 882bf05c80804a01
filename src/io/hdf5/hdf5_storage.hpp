#pragma once

#include <hdf5.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace xtasc::io {

// A few changed bytes can make a data set claim any extent, chunks of any length, or values in other files, and HDF5
// then asks for that much memory or opens those files. These checks hold a data set to its own file before it is read.

/// \throws Error  unless the data set is stored in chunks of exactly `chunk` values, `num_chunks` of them are there,
/// they fit into the file, and their filters are among deflate, shuffle and Fletcher-32. \param place  names it in the
/// error.
void check_chunked_storage(hid_t dataset, std::span<const hsize_t> chunk, hsize_t num_chunks, std::string_view place);

/// How many bytes a file may have for a chunk. HDF5 1.10 reads beyond one that is too short for its checksum.
struct ChunkBytes {
  hsize_t least = 0, most = 0;

  /// What is wrong with a chunk of so many bytes; empty: nothing.
  [[nodiscard]] std::string fault_of(hsize_t stored) const;
};

/// For a data set that check_chunked_storage() has accepted: 4 bytes more than its values where Fletcher-32 is the only
/// filter, none where there is none; where others leave the length open, more than a checksum has.
/// \param chunk_bytes  of a chunk's values \param place  names it in the error.
[[nodiscard]] ChunkBytes stored_chunk_bytes(hid_t dataset, hsize_t chunk_bytes, std::string_view place);

/// For a list: \throws Error  unless at least `bytes` are stored for it in the file itself.
void check_stored_bytes(hid_t dataset, hsize_t bytes, std::string_view place);

}  // namespace xtasc::io
