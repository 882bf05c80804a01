#pragma once

#include <array>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/hdf5/hdf5.hpp"

namespace xtasc::io {

/// Reads a data set of 2 to 4 dimensions frame by frame, where the first one counts frames, from many threads.
///
/// HDF5 reads one thread at a time, and inflates while it does. So chunks that are compressed in the usual way
/// (deflate, perhaps after shuffle) are only fetched under HDF5's lock and inflated by the thread that wants them.
/// Where a chunk holds pieces of several frames, the inflated chunks are kept for the frames that follow. Every other
/// layout goes through H5Dread, with a chunk cache for one frame.
class Hdf5Frames {
 public:
  /// \param memory_type  a native type that stays valid, e.g. H5T_NATIVE_FLOAT: what read() gives.
  /// \param cache_bytes  upper bound of the inflated chunks that are kept; as few as two rows of chunks need are.
  /// \param where  names the file in errors. \throws Error  when the data set is absent, lies in other files, or asks
  /// for frames of more than kMaxFrameValues values or chunks of more than kMaxChunkBytes.
  Hdf5Frames(hid_t file, std::string name, hid_t memory_type, std::size_t cache_bytes, std::string where);
  ~Hdf5Frames();
  Hdf5Frames(const Hdf5Frames&) = delete;
  Hdf5Frames& operator=(const Hdf5Frames&) = delete;

  static constexpr hsize_t kMaxFrameValues = hsize_t{1} << 24;  ///< of one frame: 4096 x 4096
  static constexpr hsize_t kMaxChunkBytes = hsize_t{1} << 26;   ///< 64 MiB, inflated

  [[nodiscard]] const std::vector<hsize_t>& shape() const { return shape_; }
  [[nodiscard]] std::size_t frame_values() const { return frame_values_; }
  /// Whether chunks are inflated by the calling thread, not under HDF5's lock.
  [[nodiscard]] bool inflates_outside_lock() const { return is_direct_; }

  /// Reads frame 0, 1, ... into `out`, which holds frame_values() elements of the memory type. Safe to call from many
  /// threads. \throws Error  naming file, data set and frame when it cannot be read or is damaged.
  void read(std::size_t frame, void* out) const;

 private:
  /// One chunk's place, in chunks: frames, then the inner dimensions.
  using Place = std::array<hsize_t, 4>;
  struct Chunk;

  void open_for_hdf5(hid_t file);
  [[nodiscard]] bool filters_are_known(hid_t creation);
  [[nodiscard]] std::shared_ptr<Chunk> chunk_at(const Place& place) const;
  void load(Chunk& chunk, std::size_t frame) const;
  void copy_out(const Chunk& chunk, std::size_t frame, unsigned char* out) const;
  [[nodiscard]] std::string describe(std::size_t frame) const;

  std::string name_, where_;
  hid_t memory_type_;
  Hdf5Handle data_set_;
  std::vector<hsize_t> shape_;
  Place extent_{}, chunk_extent_{}, num_chunks_{};  ///< of four dimensions: missing inner ones are 1, at the front
  std::size_t value_bytes_ = 0, frame_values_ = 0, chunk_bytes_ = 0, cache_bytes_ = 0;
  bool is_direct_ = false, has_shuffle_ = false;
  std::vector<unsigned char> fill_;  ///< the value of what was never written

  using Kept = std::list<std::pair<hsize_t, std::shared_ptr<Chunk>>>;
  mutable std::mutex cache_mutex_;
  mutable Kept kept_;  ///< most recently used first
  mutable std::unordered_map<hsize_t, Kept::iterator> kept_at_;
  std::size_t max_kept_ = 0;
};

}  // namespace xtasc::io
