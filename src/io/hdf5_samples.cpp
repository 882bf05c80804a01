#include "io/hdf5_samples.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <numeric>
#include <span>
#include <utility>

#include "io/fletcher32.hpp"

namespace xtasc::io {

namespace {

constexpr std::size_t kChecksumBytes = 4;
using Checksum = std::array<std::byte, kChecksumBytes>;
/// Where a chunk begins, for HDF5: as many as the data set has dimensions are read.
using ChunkStart = std::array<hsize_t, H5S_MAX_RANK>;

bool matches(const std::byte* sample, std::size_t sample_bytes, const Checksum& checksum) {
  std::uint32_t stored = 0;
  std::memcpy(&stored, checksum.data(), sizeof(stored));
  return fletcher32_matches({sample, sample_bytes}, stored);
}

}  // namespace

Hdf5Samples::Hdf5Samples(Hdf5Handle data_set, hid_t memory_type)
    : data_set_(std::move(data_set)), memory_type_(memory_type), shape_(dataset_shape(data_set_.get())) {
  sample_bytes_ =
      std::accumulate(shape_.begin() + 1, shape_.end(), H5Tget_size(memory_type_), std::multiplies<std::size_t>());
  is_direct_ = sample_bytes_ >= kChecksumBytes && is_checked_sample_by_sample();
}

bool Hdf5Samples::is_checked_sample_by_sample() const {
  const Hdf5Handle type(check(H5Dget_type(data_set_.get()), "cannot read a data set's type"), H5Tclose);
  const Hdf5Handle creation(check(H5Dget_create_plist(data_set_.get()), "cannot read a data set's layout"), H5Pclose);
  if (H5Tequal(type.get(), memory_type_) <= 0 || H5Pget_layout(creation.get()) != H5D_CHUNKED ||
      H5Pget_nfilters(creation.get()) != 1) {
    return false;
  }
  std::vector<hsize_t> chunk(shape_.size()), sample = shape_;
  sample[0] = 1;
  const int rank = H5Pget_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data());
  unsigned flags = 0, config = 0;
  std::size_t num_parameters = 0;
  const H5Z_filter_t filter = H5Pget_filter2(creation.get(), 0, &flags, &num_parameters, nullptr, 0, nullptr, &config);
  return rank == static_cast<int>(shape_.size()) && chunk == sample && filter == H5Z_FILTER_FLETCHER32;
}

/// Bytes of the file that a sample's chunk takes; nothing when it was never written or cannot be found.
std::optional<hsize_t> Hdf5Samples::stored_bytes(std::int64_t sample) const {
  const ChunkStart start = {static_cast<hsize_t>(sample)};
  hsize_t size = 0;
  return H5Dget_chunk_storage_size(data_set_.get(), start.data(), &size) >= 0 && size > 0 ? std::optional(size)
                                                                                          : std::nullopt;
}

/// Copies a sample and the checksum behind it. \returns false when it is not stored in that way or cannot be read.
bool Hdf5Samples::fetch(std::int64_t sample, void* out) const {
  const ChunkStart start = {static_cast<hsize_t>(sample)};
  std::uint32_t skipped_filters = 0;
  return stored_bytes(sample) == sample_bytes_ + kChecksumBytes &&
         H5Dread_chunk(data_set_.get(), H5P_DEFAULT, start.data(), &skipped_filters, out) >= 0 && skipped_filters == 0;
}

/// \returns  the samples that are still to be read by HDF5.
std::vector<std::int64_t> Hdf5Samples::read_direct(std::int64_t first, std::int64_t count, std::byte* out) const {
  std::vector<std::int64_t> left;
  Checksum checksum{};
  for (std::int64_t i = 0; i + 1 < count; ++i, out += sample_bytes_) {
    // The checksum lands where the next sample begins.
    bool is_good = fetch(first + i, out);
    std::memcpy(checksum.data(), out + sample_bytes_, kChecksumBytes);
    is_good = is_good && matches(out, sample_bytes_, checksum);
    if (!is_good) {
      left.push_back(first + i);
    }
  }
  const auto last = std::make_unique_for_overwrite<std::byte[]>(sample_bytes_ + kChecksumBytes);
  bool is_good = fetch(first + count - 1, last.get());
  if (is_good) {
    std::memcpy(checksum.data(), last.get() + sample_bytes_, kChecksumBytes);
    is_good = matches(last.get(), sample_bytes_, checksum);
    std::memcpy(out, last.get(), sample_bytes_);
  }
  if (!is_good) {
    left.push_back(first + count - 1);
  }
  return left;
}

Failure Hdf5Samples::read_by_hdf5(std::int64_t first, std::int64_t count, void* out) const {
  std::vector<hsize_t> start(shape_.size(), 0), extent = shape_;
  start[0] = static_cast<hsize_t>(first);
  extent[0] = static_cast<hsize_t>(count);
  return read_block(data_set_.get(), memory_type_, start, extent, out);
}

void Hdf5Samples::read(std::int64_t first, std::int64_t count, void* out, std::string_view where) const {
  check(first >= 0 && count >= 0 && static_cast<hsize_t>(first) + static_cast<hsize_t>(count) <= shape_[0],
        "{}: samples {} to {} are asked for, it has {}", where, first, first + count - 1, shape_[0]);
  if (count == 0) {
    return;
  }
  auto* const bytes = static_cast<std::byte*>(out);
  std::vector<std::int64_t> left;
  if (is_direct_) {
    left = read_direct(first, count, bytes);
  } else if (read_by_hdf5(first, count, out)) {
    left.resize(static_cast<std::size_t>(count));  // one by one, to name the sample
    std::iota(left.begin(), left.end(), first);
  }
  for (const std::int64_t sample : left) {
    check(read_one(sample, bytes + static_cast<std::size_t>(sample - first) * sample_bytes_),
          "{}: sample {} cannot be read, the pack is damaged", where, sample);
  }
}

Failure Hdf5Samples::read_one(std::int64_t sample, void* out) const {
  // HDF5 1.10 itself reads beyond a chunk that is too short for its checksum.
  const hsize_t whole = sample_bytes_ + kChecksumBytes;
  if (const auto stored = is_direct_ ? stored_bytes(sample) : std::nullopt;
      stored && stored != whole && stored != sample_bytes_) {
    return fmt::format("its chunk has {} bytes, {} are expected", *stored, whole);
  }
  return read_by_hdf5(sample, 1, out);
}

}  // namespace xtasc::io
