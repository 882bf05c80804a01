#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tensorfile/unpickle.hpp"

namespace xtasc::tensorfile {

/// A view of `flat`, as torch._utils._rebuild_tensor_v2 makes them. \throws Error when it reaches outside of `flat`
[[nodiscard]] at::Tensor view_of_storage(const at::Tensor& flat, std::int64_t offset,
                                         std::span<const std::int64_t> size, std::span<const std::int64_t> stride);

/// What torch._utils' functions make: a tensor, or what is opaque for one of numbers that are not read or whose
/// metadata is not known. Where "neg" is true, what is stored is negated when the tensor is read.
/// \returns  nothing when `function` is none of those that are known
///
/// Source: https://github.com/pytorch/pytorch/blob/v2.11.0/torch/_utils.py (_rebuild_tensor, _v2, _v3).
[[nodiscard]] std::optional<PickleValue> rebuild_tensor(const PickleGlobal& function, const PickleList& arguments);

/// Reads numbers and blocks from a byte stream, in order and never past its end.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  /// \throws Error "it ends too early"
  [[nodiscard]] std::string_view take(std::uint64_t count);
  [[nodiscard]] std::int64_t int64();
  [[nodiscard]] Pickle pickle() { return pickle(nullptr); }
  [[nodiscard]] Pickle pickle(const PersistentLoader& load_persistent);
  [[nodiscard]] std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

/// The storages of a file, each made once however many tensors are views of it.
class StorageTable {
 public:
  /// \param max_bytes  that the storages may have together: they all lie in the file
  explicit StorageTable(std::uint64_t max_bytes) : bytes_left_(max_bytes) {}

  /// The storage `key`, with room for its numbers. \throws Error when it was asked for with another type or size, or
  /// when the file cannot hold it.
  [[nodiscard]] at::Tensor declare(std::string_view key, at::ScalarType dtype, std::int64_t num_elements);
  /// \throws Error when no tensor asked for it
  [[nodiscard]] const at::Tensor& at(std::string_view key) const;
  [[nodiscard]] std::size_t size() const { return storages_.size(); }

 private:
  std::uint64_t bytes_left_;
  std::map<std::string, at::Tensor, std::less<>> storages_;
};

/// ("storage", storage type, key, location, number of elements, ...)
struct StorageId {
  PickleGlobal type;
  at::ScalarType dtype;  ///< Undefined for an unknown type
  std::string_view key;
  std::int64_t num_elements;

  /// Whether tensors are made of it. What it holds otherwise, complex or quantised numbers or bytes without a type, is
  /// not read, and it is opaque.
  [[nodiscard]] bool is_read() const;
};
/// \throws Error for the persistent id of anything else, e.g. a pickled module
[[nodiscard]] StorageId storage_id_of(const PickleList& id);

}  // namespace xtasc::tensorfile
