#include "io/hdf5/hdf5_storage.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "io/hdf5/hdf5.hpp"

namespace xtasc::io {

namespace {

Hdf5Handle creation_list(hid_t dataset, std::string_view place) {
  return {check(H5Dget_create_plist(dataset), "{}: cannot read its layout", place), H5Pclose};
}

/// Bytes stored for the data set, which the file must be able to hold.
hsize_t stored_bytes(hid_t dataset, std::string_view place) {
  const Hdf5Handle file(check(H5Iget_file_id(dataset), "{}: it has no file", place), H5Fclose);
  hsize_t file_bytes = 0;
  check(H5Fget_filesize(file.get(), &file_bytes), "{}: cannot tell the file's size", place);
  const hsize_t bytes = H5Dget_storage_size(dataset);
  check(bytes <= file_bytes, "{}: {} bytes of values in a file of {}: it is damaged", place, bytes, file_bytes);
  return bytes;
}

H5Z_filter_t filter_of(hid_t creation, unsigned i) {
  unsigned flags = 0, config = 0;
  std::size_t num_values = 0;
  return H5Pget_filter2(creation, i, &flags, &num_values, nullptr, 0, nullptr, &config);
}

/// What is behind a checksum is read before it: of a length that nobody has looked at.
void check_filters(hid_t creation, std::string_view place) {
  constexpr std::array kKnown = {H5Z_FILTER_DEFLATE, H5Z_FILTER_SHUFFLE, H5Z_FILTER_FLETCHER32};
  const int num_filters = H5Pget_nfilters(creation);
  check(static_cast<herr_t>(num_filters), "{}: cannot read its filters", place);
  for (unsigned i = 0; i < static_cast<unsigned>(num_filters); ++i) {
    const H5Z_filter_t filter = filter_of(creation, i);
    check(filter != H5Z_FILTER_FLETCHER32 || i + 1 == static_cast<unsigned>(num_filters),
          "{}: its checksums are of values before they were compressed; Fletcher-32 must be the last filter", place);
    check(std::find(kKnown.begin(), kKnown.end(), filter) != kKnown.end(),
          "{}: HDF5 filter {} is not accepted; deflate, shuffle and Fletcher-32 are", place, filter);
  }
}

}  // namespace

void check_chunked_storage(hid_t dataset, std::span<const hsize_t> chunk, hsize_t num_chunks, std::string_view place) {
  const Hdf5Handle creation = creation_list(dataset, place);
  check(H5Pget_layout(creation.get()) == H5D_CHUNKED, "{}: it is not stored in chunks", place);
  std::vector<hsize_t> found(chunk.size());
  const int rank = H5Pget_chunk(creation.get(), static_cast<int>(found.size()), found.data());
  check(rank == static_cast<int>(chunk.size()) && std::equal(chunk.begin(), chunk.end(), found.begin()),
        "{}: its chunks are {}, {} is expected", place, shape_text(found), shape_text(chunk));
  check_filters(creation.get(), place);
  stored_bytes(dataset, place);
  hsize_t stored_chunks = 0;
  const Hdf5Handle space(check(H5Dget_space(dataset), "{}: cannot read its shape", place), H5Sclose);
  check(H5Dget_num_chunks(dataset, space.get(), &stored_chunks), "{}: cannot count its chunks", place);
  check(stored_chunks == num_chunks, "{}: {} of its {} chunks are there", place, stored_chunks, num_chunks);
}

std::string ChunkBytes::fault_of(hsize_t stored) const {
  return stored >= least && stored <= most ? std::string()
                                           : fmt::format("its chunk has {} bytes, {}{} are expected", stored,
                                                         least == most ? "" : "at least ", least);
}

ChunkBytes stored_chunk_bytes(hid_t dataset, hsize_t chunk_bytes, std::string_view place) {
  const Hdf5Handle creation = creation_list(dataset, place);
  const int num_filters = H5Pget_nfilters(creation.get());
  constexpr hsize_t kChecksumBytes = 4;
  if (num_filters == 0) {
    return {chunk_bytes, chunk_bytes};
  }
  if (num_filters == 1 && filter_of(creation.get(), 0) == H5Z_FILTER_FLETCHER32) {
    return {chunk_bytes + kChecksumBytes, chunk_bytes + kChecksumBytes};
  }
  return {kChecksumBytes + 1, std::numeric_limits<hsize_t>::max()};
}

void check_stored_bytes(hid_t dataset, hsize_t bytes, std::string_view place) {
  const Hdf5Handle creation = creation_list(dataset, place);
  const H5D_layout_t layout = H5Pget_layout(creation.get());
  const bool is_here =
      layout != H5D_LAYOUT_ERROR && layout != H5D_VIRTUAL && H5Pget_external_count(creation.get()) == 0;
  check(is_here, "{}: its values are in another file", place);
  check_filters(creation.get(), place);
  const hsize_t stored = stored_bytes(dataset, place);
  check(stored >= bytes, "{}: {} of its {} bytes are there", place, stored, bytes);
  hsize_t chunk = 0;  // what HDF5 takes for reading, however little of it is used
  const Hdf5Handle type(check(H5Dget_type(dataset), "{}: cannot read its type", place), H5Tclose);
  check(layout != H5D_CHUNKED || (H5Pget_chunk(creation.get(), 1, &chunk) == 1 &&
                                  chunk <= std::max<hsize_t>(stored, 4096) / H5Tget_size(type.get())),
        "{}: chunks of {} values for {} bytes", place, chunk, stored);
}

}  // namespace xtasc::io
