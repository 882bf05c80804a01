#pragma once

#include <fmt/format.h>
#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.hpp"

namespace xtasc::io {

/// Owns one HDF5 identifier (file, group, data set, space, type, property list or attribute).
class Hdf5Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Hdf5Handle() = default;
  /// Takes ownership of `id`; `close_function` is that of its kind, e.g. H5Dclose.
  Hdf5Handle(hid_t id, Close close_function) noexcept : id_(id), close_(close_function) {}
  ~Hdf5Handle() { close(); }
  Hdf5Handle(const Hdf5Handle&) = delete;
  Hdf5Handle& operator=(const Hdf5Handle&) = delete;
  Hdf5Handle(Hdf5Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(std::exchange(other.close_, nullptr)) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept;

  [[nodiscard]] hid_t get() const noexcept { return id_; }
  explicit operator bool() const noexcept { return id_ >= 0; }

  /// Closes now, for those who must know whether it worked. \returns a negative number on failure.
  herr_t close() noexcept;

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

/// Why the last HDF5 call failed, from its own error stack: the system's words where there are some
/// ("No space left on device"), else HDF5's innermost ("data error detected by Fletcher32 checksum"); a file that
/// another program has open for writing, and one that a newer HDF5 wrote, in words of our own.
[[nodiscard]] std::string hdf5_reason();
/// "1.10.8", as loaded.
[[nodiscard]] std::string hdf5_library_version();

using xtasc::check;

/// Throws Error "MESSAGE: REASON" when an HDF5 call failed (status < 0).
template <typename... Args>
void check(herr_t status, fmt::format_string<Args...> format, Args&&... args) {
  if (status < 0) {
    const std::string reason = hdf5_reason();
    fail("{}: {}", fmt::format(format, std::forward<Args>(args)...), reason);
  }
}

/// As check(herr_t), for calls that return an identifier; returns it.
template <typename... Args>
hid_t check(hid_t id, fmt::format_string<Args...> format, Args&&... args) {
  check(static_cast<herr_t>(id < 0 ? -1 : 0), format, std::forward<Args>(args)...);
  return id;
}

/// Why an operation failed, or nothing when it worked.
using Failure = std::optional<std::string>;

/// As check(herr_t), for operations that return the reason themselves.
template <typename... Args>
void check(const Failure& failure, fmt::format_string<Args...> format, Args&&... args) {
  if (failure) {
    fail("{}: {}", fmt::format(format, std::forward<Args>(args)...), *failure);
  }
}

/// HDF5 as Debian builds it is not thread safe: where several threads are at work, hold this around every HDF5 call.
[[nodiscard]] std::unique_lock<std::recursive_mutex> lock_hdf5();

/// Whether a file's metadata must carry checksums, as create_hdf5 and every HDF5 of "latest" format write them. Without
/// (all before HDF5 1.8, MATLAB's) a few changed bytes can crash the library itself or keep it busy for ever.
enum class Hdf5Metadata { checksummed, any };

/// Opens a file for reading, without a file lock (some file systems refuse them, and a pack never changes).
/// \throws Error  that tells a missing file, one that is no HDF5 file, a Git LFS pointer and a broken file apart.
[[nodiscard]] Hdf5Handle open_hdf5(const std::filesystem::path& path, Hdf5Metadata metadata = Hdf5Metadata::any);

/// Creates a file in the format of HDF5 1.10, whose metadata carry checksums; without a file lock, as open_hdf5.
/// \param where  names the file in the error. \throws Error when it exists already or cannot be written.
[[nodiscard]] Hdf5Handle create_hdf5(const std::filesystem::path& path, std::string_view where);

/// Whether `group` has a link `name`.
[[nodiscard]] bool has_link(hid_t group, const std::string& name);
/// Opens a data set. \param where  names the file in the error. \throws Error when it is absent.
[[nodiscard]] Hdf5Handle open_dataset(hid_t group, const std::string& name, std::string_view where);
[[nodiscard]] std::vector<hsize_t> dataset_shape(hid_t dataset);
/// "uint8", "int16", "float32", "string", ...: the element type of a data set or an attribute's type.
[[nodiscard]] std::string dataset_type_name(hid_t dataset);
/// "36 x 3 x 640 x 480".
[[nodiscard]] std::string shape_text(std::span<const hsize_t> shape);

/// Reads the block [start, start + count) into `out`, which holds elements of `memory_type`.
[[nodiscard]] Failure read_block(hid_t dataset, hid_t memory_type, std::span<const hsize_t> start,
                                 std::span<const hsize_t> count, void* out);
/// Writes the block [start, start + count).
[[nodiscard]] Failure write_block(hid_t dataset, hid_t memory_type, std::span<const hsize_t> start,
                                  std::span<const hsize_t> count, const void* in);

/// One-dimensional data set of UTF-8 texts, all of the longest one's length, read and written whole.
void write_string_dataset(hid_t group, const std::string& name, const std::vector<std::string>& values);
[[nodiscard]] std::vector<std::string> read_string_dataset(hid_t group, const std::string& name,
                                                           std::string_view where);

/// Attributes of a file, group or data set: UTF-8 texts of fixed length, int64, float64, and arrays of them.
void write_attribute(hid_t object, const std::string& name, std::string_view value);
void write_attribute(hid_t object, const std::string& name, std::int64_t value);
void write_attribute(hid_t object, const std::string& name, double value);
void write_attribute(hid_t object, const std::string& name, std::span<const double> values);
void write_attribute(hid_t object, const std::string& name, const std::vector<std::string>& values);
/// A table of bytes, `rows` x `columns`.
void write_attribute(hid_t object, const std::string& name, std::span<const std::uint8_t> values, std::size_t rows,
                     std::size_t columns);

/// \param where  names the file in the error. \throws Error when the attribute is absent or of another type or size.
/// Texts of variable length are refused: HDF5 does not survive damaged ones.
[[nodiscard]] std::string read_string_attribute(hid_t object, const std::string& name, std::string_view where);
[[nodiscard]] std::int64_t read_int_attribute(hid_t object, const std::string& name, std::string_view where);
[[nodiscard]] std::vector<double> read_double_attribute(hid_t object, const std::string& name, std::size_t count,
                                                        std::string_view where);
[[nodiscard]] std::vector<std::string> read_strings_attribute(hid_t object, const std::string& name,
                                                              std::string_view where);
/// A rows x columns table of bytes.
[[nodiscard]] std::vector<std::uint8_t> read_bytes_attribute(hid_t object, const std::string& name, std::size_t rows,
                                                             std::size_t columns, std::string_view where);

}  // namespace xtasc::io
