#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "io/hdf5.hpp"

namespace xtasc::io {

/// Reads runs of samples of a data set whose first dimension counts samples.
///
/// Where a chunk is one sample and Fletcher-32 its only filter, as in a pack, H5Dread_chunk copies the stored bytes
/// straight to their place and fletcher32() checks them there, while they are in the processor's cache. H5Dread, which
/// copies them twice more and sums them word by word, has every other layout, and the last word on every sample that
/// is not as expected: never written, stored without its checksum, damaged.
///
/// Not thread safe; hold lock_hdf5() around every call where several threads are at work.
class Hdf5Samples {
 public:
  /// \param data_set  open, of one dimension or more.
  /// \param memory_type  a native type that stays valid, e.g. H5T_NATIVE_FLOAT: what read() gives.
  /// \throws Error  when HDF5 cannot say how the data set is stored.
  Hdf5Samples(Hdf5Handle data_set, hid_t memory_type);

  [[nodiscard]] std::size_t sample_bytes() const { return sample_bytes_; }
  /// Whether samples go straight to their place.
  [[nodiscard]] bool is_direct() const { return is_direct_; }

  /// Samples [first, first + count), which must exist, into `out`: count * sample_bytes() bytes.
  /// \param where  names the data set in the error. \throws Error  naming the first sample that cannot be read.
  void read(std::int64_t first, std::int64_t count, void* out, std::string_view where) const;

 private:
  [[nodiscard]] bool is_checked_sample_by_sample() const;
  [[nodiscard]] std::optional<hsize_t> stored_bytes(std::int64_t sample) const;
  [[nodiscard]] bool fetch(std::int64_t sample, void* out) const;
  [[nodiscard]] std::vector<std::int64_t> read_direct(std::int64_t first, std::int64_t count, std::byte* out) const;
  [[nodiscard]] Failure read_one(std::int64_t sample, void* out) const;
  [[nodiscard]] Failure read_by_hdf5(std::int64_t first, std::int64_t count, void* out) const;

  Hdf5Handle data_set_;
  hid_t memory_type_;
  std::vector<hsize_t> shape_;
  std::size_t sample_bytes_ = 0;
  bool is_direct_ = false;
};

}  // namespace xtasc::io
