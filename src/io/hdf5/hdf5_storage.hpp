#pragma once

#include <hdf5.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace xtasc::io {

// A few changed bytes can make a data set claim any extent, chunks of any length, or values in other files, and HDF5
// then asks for that much memory or opens those files. These checks hold a data set to its own file before it is read.

/// \throws Error  unless the data set is stored in chunks of exactly `chunk` values, `num_chunks` of them are there,
/// they fit into the file, and their filters are among deflate, shuffle and Fletcher-32. \param place  names it in the
/// error.
void check_chunked_storage(hid_t dataset, std::span<const hsize_t> chunk, hsize_t num_chunks, std::string_view place);

/// Bytes that the file has for each chunk of `chunk_bytes` bytes of values: 4 more where Fletcher-32 is the data set's
/// only filter, nothing where filters of other kinds leave the length open. \param place  names it in the error.
[[nodiscard]] std::optional<hsize_t> fixed_chunk_bytes(hid_t dataset, hsize_t chunk_bytes, std::string_view place);

/// For a list: \throws Error  unless at least `bytes` are stored for it in the file itself.
void check_stored_bytes(hid_t dataset, hsize_t bytes, std::string_view place);

}  // namespace xtasc::io
