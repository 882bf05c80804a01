#pragma once

#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xtasc::io {

// HDF5 keeps texts of variable length in the file's global heap, apart from what refers to them and without a checksum.
// HDF5 1.10 trusts that heap: a few changed bytes make it write beyond a buffer or loop for ever. So the references are
// taken out of HDF5 as they are stored, and the texts are read here.

/// A text of variable length as it is stored: where its characters lie.
struct TextReference {
  std::uint32_t length = 0;   ///< in bytes
  std::uint64_t address = 0;  ///< of the heap's collection
  std::uint32_t index = 0;    ///< of the object in the collection
};

/// Bytes of one stored reference in a file with addresses of eight bytes.
inline constexpr std::size_t kTextReferenceBytes = 16;

/// Teaches HDF5 the conversion of a text of variable length to an opaque value of kTextReferenceBytes bytes: its stored
/// reference. Call it once, after H5open.
void register_text_references();

[[nodiscard]] TextReference decode_text_reference(std::span<const std::uint8_t> bytes);

/// Reads texts from the global heap of a file that is open for reading.
///
/// Format: "Disk Format: Level 1E - Global Heap" in the HDF5 file format specification, version 3.
class Hdf5TextHeap {
 public:
  /// \param object  any identifier of the file. \param where  names what is read in errors.
  /// \throws Error  when the file's addresses do not have eight bytes.
  Hdf5TextHeap(hid_t object, std::string where);

  /// \throws Error  unless the reference leads to an object of exactly its length in a whole collection.
  [[nodiscard]] std::string text(const TextReference& reference);

 private:
  void load(std::uint64_t address);

  std::string where_;
  int file_ = -1;  ///< HDF5's own descriptor, borrowed
  std::uint64_t base_ = 0, file_size_ = 0;
  std::uint64_t address_ = ~std::uint64_t{0};  ///< of the collection at hand
  std::vector<std::uint8_t> collection_;
  std::map<std::uint32_t, std::pair<std::size_t, std::size_t>> objects_;  ///< index -> where it starts, its bytes
};

}  // namespace xtasc::io
