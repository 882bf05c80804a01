#include "io/hdf5_heap.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/error.hpp"
#include "io/hdf5.hpp"

namespace xtasc::io {

namespace {

constexpr std::size_t kCollectionHead = 16, kObjectHead = 16;
/// HDF5 makes collections of 4 KiB, larger ones for single objects that need it.
constexpr std::uint64_t kMaxCollectionBytes = std::uint64_t{64} << 20;

template <typename Integer>
Integer little_endian(std::span<const std::uint8_t> bytes, std::size_t at) {
  Integer value = 0;
  for (std::size_t i = sizeof(Integer); i-- > 0;) {
    value = static_cast<Integer>(static_cast<Integer>(value << 8) | bytes[at + i]);
  }
  return value;
}

/// Both types have the same bytes: there is nothing to convert, only sizes to check.
herr_t keep_reference(hid_t from, hid_t to, H5T_cdata_t* state, std::size_t, std::size_t, std::size_t, void*, void*,
                      hid_t) {
  if (state->command == H5T_CONV_INIT) {
    state->need_bkg = H5T_BKG_NO;
    const bool fits = H5Tget_size(from) == kTextReferenceBytes && H5Tget_size(to) == kTextReferenceBytes;
    return fits ? 0 : -1;
  }
  return 0;
}

std::vector<std::uint8_t> read_at(int file, std::uint64_t offset, std::size_t size, std::string_view where) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t done = 0; done < size;) {
    const ssize_t got = ::pread(file, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    check(got >= 0, "{} cannot be read: {}", where, errno_text(errno));
    check(got > 0, "{} cannot be read: the file ends within its texts", where);
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace

void register_text_references() {
  const Hdf5Handle text(check(H5Tcopy(H5T_C_S1), "cannot make a string type"), H5Tclose);
  check(H5Tset_size(text.get(), H5T_VARIABLE), "cannot make a string type");
  const Hdf5Handle reference(check(H5Tcreate(H5T_OPAQUE, kTextReferenceBytes), "cannot make an opaque type"), H5Tclose);
  check(H5Tregister(H5T_PERS_SOFT, "text reference", text.get(), reference.get(), keep_reference),
        "cannot register the conversion of texts");
}

TextReference decode_text_reference(std::span<const std::uint8_t> bytes) {
  return {.length = little_endian<std::uint32_t>(bytes, 0),
          .address = little_endian<std::uint64_t>(bytes, 4),
          .index = little_endian<std::uint32_t>(bytes, 12)};
}

Hdf5TextHeap::Hdf5TextHeap(hid_t object, std::string where) : where_(std::move(where)) {
  const Hdf5Handle file(check(H5Iget_file_id(object), "{}: its file cannot be told", where_), H5Fclose);
  const Hdf5Handle creation(check(H5Fget_create_plist(file.get()), "{}: its file cannot be told", where_), H5Pclose);
  std::size_t address_bytes = 0, length_bytes = 0;
  check(H5Pget_sizes(creation.get(), &address_bytes, &length_bytes), "{}: its file cannot be told", where_);
  check(address_bytes == 8 && length_bytes == 8, "{}: HDF5 addresses of {} and lengths of {} bytes, 8 are expected",
        where_, address_bytes, length_bytes);
  hsize_t user_block = 0;
  check(H5Pget_userblock(creation.get(), &user_block), "{}: its file cannot be told", where_);
  base_ = user_block;
  const Hdf5Handle access(check(H5Fget_access_plist(file.get()), "{}: its file cannot be told", where_), H5Pclose);
  check(H5Pget_driver(access.get()) == H5FD_SEC2, "{}: texts are read from plain files only", where_);
  void* handle = nullptr;
  check(H5Fget_vfd_handle(file.get(), H5P_DEFAULT, &handle), "{}: its file cannot be told", where_);
  file_ = *static_cast<const int*>(handle);
  struct stat status {};
  check(::fstat(file_, &status) == 0, "{} cannot be read: {}", where_, errno_text(errno));
  file_size_ = static_cast<std::uint64_t>(status.st_size);
}

void Hdf5TextHeap::load(std::uint64_t address) {
  const std::uint64_t start = base_ + address;
  check(start >= base_ && start < file_size_ && file_size_ - start >= kCollectionHead,
        "{} cannot be read: a text lies beyond the end of the file", where_);
  const std::vector<std::uint8_t> head = read_at(file_, start, kCollectionHead, where_);
  const auto size = little_endian<std::uint64_t>(head, 8);
  const bool is_collection = std::string_view(reinterpret_cast<const char*>(head.data()), 4) == "GCOL" && head[4] == 1;
  check(is_collection && size >= kCollectionHead && size <= kMaxCollectionBytes && size <= file_size_ - start,
        "{} cannot be read: the file's heap of texts is damaged", where_);

  address_ = ~std::uint64_t{0};
  objects_.clear();
  collection_ = read_at(file_, start, static_cast<std::size_t>(size), where_);
  for (std::size_t at = kCollectionHead; at + kObjectHead <= collection_.size();) {
    const auto index = little_endian<std::uint16_t>(collection_, at);
    const auto bytes = little_endian<std::uint64_t>(collection_, at + 8);
    if (index == 0) {
      break;  // free space, up to the end
    }
    const std::size_t left = collection_.size() - at - kObjectHead;
    check(bytes <= left && !objects_.contains(index), "{} cannot be read: the file's heap of texts is damaged", where_);
    objects_[index] = {at + kObjectHead, static_cast<std::size_t>(bytes)};
    at += kObjectHead + (static_cast<std::size_t>(bytes) + 7) / 8 * 8;
  }
  address_ = address;
}

std::string Hdf5TextHeap::text(const TextReference& reference) {
  if (reference.length == 0) {
    return {};
  }
  if (reference.address != address_) {
    load(reference.address);
  }
  const auto found = objects_.find(reference.index);
  check(found != objects_.end() && found->second.second == reference.length,
        "{} cannot be read: the file's heap of texts is damaged", where_);
  const auto [start, bytes] = found->second;
  const std::string text(reinterpret_cast<const char*>(collection_.data()) + start, bytes);
  return text.substr(0, text.find('\0'));
}

}  // namespace xtasc::io
