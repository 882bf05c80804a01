#include "io/hdf5/hdf5_frames.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "io/inflate.hpp"

namespace xtasc::io {

struct Hdf5Frames::Chunk {
  Place place{};
  std::mutex mutex;  ///< held while the values come in; afterwards they do not change
  bool is_loaded = false;
  std::vector<unsigned char> values;
};

namespace {

hsize_t product(std::span<const hsize_t> factors) {
  hsize_t result = 1;
  for (const hsize_t factor : factors) {
    if (__builtin_mul_overflow(result, factor, &result)) {
      return ~hsize_t{0};
    }
  }
  return result;
}

/// {frames, inner ...} -> {frames, 1 ..., inner ...}.
std::array<hsize_t, 4> padded(std::span<const hsize_t> shape) {
  std::array<hsize_t, 4> four = {shape[0], 1, 1, 1};
  std::copy(shape.begin() + 1, shape.end(), four.end() - static_cast<std::ptrdiff_t>(shape.size() - 1));
  return four;
}

/// Undoes HDF5's shuffle, which stores byte 0 of all values, then byte 1 of all values, ...
std::vector<unsigned char> unshuffled(const std::vector<unsigned char>& in, std::size_t value_bytes) {
  std::vector<unsigned char> out(in.size());
  const std::size_t count = in.size() / value_bytes;
  for (std::size_t byte = 0; byte < value_bytes; ++byte) {
    const unsigned char* source = in.data() + byte * count;
    unsigned char* target = out.data() + byte;
    for (std::size_t i = 0; i < count; ++i) {
      target[i * value_bytes] = source[i];
    }
  }
  return out;
}

}  // namespace

Hdf5Frames::~Hdf5Frames() {
  const auto lock = lock_hdf5();
  data_set_.close();
}

Hdf5Frames::Hdf5Frames(hid_t file, std::string name, hid_t memory_type, std::size_t cache_bytes, std::string where)
    : name_(std::move(name)), where_(std::move(where)), memory_type_(memory_type), cache_bytes_(cache_bytes) {
  const auto lock = lock_hdf5();
  data_set_ = open_dataset(file, name_, where_);
  shape_ = dataset_shape(data_set_.get());
  check(shape_.size() >= 2 && shape_.size() <= 4 && product(shape_) > 0,
        "{}: '{}' has shape {}, frames of 1 to 3 dimensions are expected", where_, name_, shape_text(shape_));
  const hsize_t frame_values = product(std::span(shape_).subspan(1));
  check(frame_values <= kMaxFrameValues, "{}: '{}' has shape {}, frames of up to {} values are accepted", where_, name_,
        shape_text(shape_), kMaxFrameValues);
  frame_values_ = frame_values;
  value_bytes_ = H5Tget_size(memory_type_);
  extent_ = padded(shape_);

  const Hdf5Handle creation(check(H5Dget_create_plist(data_set_.get()), "{}: cannot read '{}'", where_, name_),
                            H5Pclose);
  const H5D_layout_t layout = H5Pget_layout(creation.get());
  check((layout == H5D_CHUNKED || layout == H5D_CONTIGUOUS || layout == H5D_COMPACT) &&
            H5Pget_external_count(creation.get()) == 0,
        "{}: the values of '{}' lie in other files", where_, name_);
  if (layout != H5D_CHUNKED) {
    return;
  }
  std::vector<hsize_t> chunk(shape_.size());
  check(H5Pget_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data()) == static_cast<int>(chunk.size()),
        "{}: '{}' has chunks of another number of dimensions", where_, name_);
  const hsize_t chunk_values = product(chunk);
  const Hdf5Handle file_type(check(H5Dget_type(data_set_.get()), "{}: cannot read '{}'", where_, name_), H5Tclose);
  check(chunk_values > 0 && chunk_values <= kMaxChunkBytes / std::max(value_bytes_, H5Tget_size(file_type.get())),
        "{}: '{}' is stored in chunks of {} values, up to {} MiB a chunk are accepted", where_, name_,
        shape_text(chunk), kMaxChunkBytes >> 20);
  chunk_bytes_ = chunk_values * value_bytes_;
  chunk_extent_ = padded(chunk);
  std::size_t chunks_a_frame = 1;
  for (std::size_t i = 0; i < 4; ++i) {
    num_chunks_[i] = (extent_[i] + chunk_extent_[i] - 1) / chunk_extent_[i];
    chunks_a_frame *= i == 0 ? 1 : num_chunks_[i];
  }
  // Two rows: the threads that have begun the next row of chunks do not take this one from those that are behind.
  max_kept_ = std::max<std::size_t>(1, std::min(2 * chunks_a_frame, cache_bytes_ / chunk_bytes_));
  fill_.resize(value_bytes_);
  if (H5Pget_fill_value(creation.get(), memory_type_, fill_.data()) < 0) {
    std::fill(fill_.begin(), fill_.end(), static_cast<unsigned char>(0));
  }
  is_direct_ = H5Tequal(file_type.get(), memory_type_) > 0 && filters_are_known(creation.get());
  if (!is_direct_) {
    const Hdf5Handle access(check(H5Pcreate(H5P_DATASET_ACCESS), "cannot make a property list"), H5Pclose);
    const std::size_t bytes = std::min(chunks_a_frame * chunk_bytes_, cache_bytes_);
    // The HDF5 reference advises 100 places a chunk, so that no two chunks want the same.
    check(H5Pset_chunk_cache(access.get(), std::min<std::size_t>(100 * chunks_a_frame + 1, 1 << 20), bytes, 0.0),
          "{}: cannot read '{}'", where_, name_);
    data_set_.close();
    data_set_ = {check(H5Dopen2(file, name_.c_str(), access.get()), "{}: cannot open data set '{}'", where_, name_),
                 H5Dclose};
  }
}

bool Hdf5Frames::filters_are_known(hid_t creation) {
  unsigned options = 0;
  const int count = H5Pget_nfilters(creation);
  if (count < 1 || count > 2 || H5Pget_chunk_opts(creation, &options) < 0 || options != 0) {
    return false;
  }
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0, parameter = 0, config = 0;
    std::size_t num_parameters = 1;
    const H5Z_filter_t filter =
        H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &num_parameters, &parameter, 0, nullptr, &config);
    has_shuffle_ = has_shuffle_ || (filter == H5Z_FILTER_SHUFFLE && num_parameters == 1 && parameter == value_bytes_);
    const bool is_known = i + 1 == count ? filter == H5Z_FILTER_DEFLATE : has_shuffle_;
    if (!is_known) {
      return false;
    }
  }
  return true;
}

std::string Hdf5Frames::describe(std::size_t frame) const {
  return fmt::format("'{}' of frame {} from {}", name_, frame + 1, where_);
}

std::shared_ptr<Hdf5Frames::Chunk> Hdf5Frames::chunk_at(const Place& place) const {
  const auto made = [&] {
    auto chunk = std::make_shared<Chunk>();
    chunk->place = place;
    return chunk;
  };
  if (chunk_extent_[0] == 1) {  // no other frame wants it
    return made();
  }
  const hsize_t key = ((place[0] * num_chunks_[1] + place[1]) * num_chunks_[2] + place[2]) * num_chunks_[3] + place[3];
  const std::lock_guard lock(cache_mutex_);
  if (const auto found = kept_at_.find(key); found != kept_at_.end()) {
    kept_.splice(kept_.begin(), kept_, found->second);
    return kept_.front().second;
  }
  while (kept_.size() >= max_kept_) {
    kept_at_.erase(kept_.back().first);
    kept_.pop_back();
  }
  kept_.emplace_front(key, made());
  kept_at_[key] = kept_.begin();
  return kept_.front().second;
}

void Hdf5Frames::load(Chunk& chunk, std::size_t frame) const {
  std::array<hsize_t, 4> start{};
  for (std::size_t i = 0; i < 4; ++i) {
    start[i] = chunk.place[i] * chunk_extent_[i];
  }
  // From four dimensions to the data set's own: without the ones in front of the inner ones.
  std::copy(start.end() - static_cast<std::ptrdiff_t>(shape_.size() - 1), start.end(), start.begin() + 1);
  std::vector<unsigned char> stored;
  std::uint32_t skipped = 0;  // bit i: filter i was not applied
  {
    const auto lock = lock_hdf5();
    hsize_t size = 0;
    if (H5Dget_chunk_storage_size(data_set_.get(), start.data(), &size) < 0) {  // perhaps it was never written
      haddr_t address = HADDR_UNDEF;
      check(H5Dget_chunk_info_by_coord(data_set_.get(), start.data(), &skipped, &address, &size), "cannot read {}",
            describe(frame));
    }
    check(size <= chunk_bytes_ + chunk_bytes_ / 8 + 64, "cannot read {}: a chunk of {} bytes is stored in {}",
          describe(frame), chunk_bytes_, size);
    stored.resize(size);
    if (size > 0) {
      check(H5Dread_chunk(data_set_.get(), H5P_DEFAULT, start.data(), &skipped, stored.data()), "cannot read {}",
            describe(frame));
    }
  }
  std::vector<unsigned char> values;
  const bool is_deflated = (skipped >> (has_shuffle_ ? 1 : 0) & 1U) == 0;
  if (stored.empty()) {
    for (values.reserve(chunk_bytes_); values.size() < chunk_bytes_;) {
      values.insert(values.end(), fill_.begin(), fill_.end());
    }
  } else if (is_deflated) {
    values.resize(chunk_bytes_);
    const Inflated result = inflate_zlib(std::as_bytes(std::span(stored)), std::as_writable_bytes(std::span(values)));
    check(result == Inflated::whole, "cannot read {}: damaged, a chunk {}", describe(frame),
          result == Inflated::too_short  ? "is too short"
          : result == Inflated::too_long ? "is too long"
                                         : "cannot be inflated");
  } else {
    check(stored.size() == chunk_bytes_, "cannot read {}: damaged, a chunk has {} bytes instead of {}", describe(frame),
          stored.size(), chunk_bytes_);
    values = std::move(stored);
  }
  const bool is_shuffled = has_shuffle_ && (skipped & 1U) == 0 && !stored.empty();
  chunk.values = is_shuffled && value_bytes_ > 1 ? unshuffled(values, value_bytes_) : std::move(values);
  chunk.is_loaded = true;
}

void Hdf5Frames::copy_out(const Chunk& chunk, std::size_t frame, unsigned char* out) const {
  const auto count = [&](std::size_t axis) {  // an outer chunk goes beyond the data set
    return std::min(chunk_extent_[axis], extent_[axis] - chunk.place[axis] * chunk_extent_[axis]);
  };
  const auto at = [&](std::size_t axis) { return chunk.place[axis] * chunk_extent_[axis]; };
  const hsize_t row = (frame % chunk_extent_[0]) * chunk_extent_[1];
  for (hsize_t i = 0; i < count(1); ++i) {
    for (hsize_t j = 0; j < count(2); ++j) {
      const hsize_t source = ((row + i) * chunk_extent_[2] + j) * chunk_extent_[3];
      const hsize_t target = ((at(1) + i) * extent_[2] + at(2) + j) * extent_[3] + at(3);
      std::memcpy(out + target * value_bytes_, chunk.values.data() + source * value_bytes_, count(3) * value_bytes_);
    }
  }
}

void Hdf5Frames::read(std::size_t frame, void* out) const {
  check(frame < shape_[0], "{}: '{}' has no frame {}", where_, name_, frame + 1);
  if (!is_direct_) {
    std::vector<hsize_t> start(shape_.size()), count = shape_;
    start[0] = frame;
    count[0] = 1;
    const auto lock = lock_hdf5();
    check(read_block(data_set_.get(), memory_type_, start, count, out), "cannot read {}", describe(frame));
    return;
  }
  auto* bytes = static_cast<unsigned char*>(out);
  std::vector<std::shared_ptr<Chunk>> busy;  // with another thread: meanwhile this one goes on with the next chunk
  Place place = {frame / chunk_extent_[0], 0, 0, 0};
  for (place[1] = 0; place[1] < num_chunks_[1]; ++place[1]) {
    for (place[2] = 0; place[2] < num_chunks_[2]; ++place[2]) {
      for (place[3] = 0; place[3] < num_chunks_[3]; ++place[3]) {
        const std::shared_ptr<Chunk> chunk = chunk_at(place);
        std::unique_lock lock(chunk->mutex, std::try_to_lock);
        if (!lock) {
          busy.push_back(chunk);
          continue;
        }
        if (!chunk->is_loaded) {
          load(*chunk, frame);
        }
        lock.unlock();
        copy_out(*chunk, frame, bytes);
      }
    }
  }
  for (const std::shared_ptr<Chunk>& chunk : busy) {
    const std::lock_guard lock(chunk->mutex);
    if (!chunk->is_loaded) {
      load(*chunk, frame);
    }
    copy_out(*chunk, frame, bytes);
  }
}

}  // namespace xtasc::io
