#include "tensorfile/storage.hpp"

#include <ATen/ATen.h>

#include <bit>
#include <cstring>
#include <vector>

#include "tensorfile/printable.hpp"

namespace xtasc::tensorfile {

namespace {

/// The element type of "torch.FloatStorage" or "torch.cuda.FloatStorage"; Undefined where it is not known.
at::ScalarType storage_dtype(const PickleGlobal& storage_type) {
  static const std::map<std::string_view, at::ScalarType> kTypes = {{"FloatStorage", at::kFloat},
                                                                    {"DoubleStorage", at::kDouble},
                                                                    {"HalfStorage", at::kHalf},
                                                                    {"LongStorage", at::kLong},
                                                                    {"BFloat16Storage", at::kBFloat16},
                                                                    {"IntStorage", at::kInt},
                                                                    {"ShortStorage", at::kShort},
                                                                    {"CharStorage", at::kChar},
                                                                    {"ByteStorage", at::kByte},
                                                                    {"BoolStorage", at::kBool},
                                                                    {"ComplexFloatStorage", at::kComplexFloat},
                                                                    {"ComplexDoubleStorage", at::kComplexDouble},
                                                                    {"QInt8Storage", at::kQInt8},
                                                                    {"QUInt8Storage", at::kQUInt8},
                                                                    {"QInt32Storage", at::kQInt32},
                                                                    {"QUInt4x2Storage", at::kQUInt4x2},
                                                                    {"QUInt2x4Storage", at::kQUInt2x4},
                                                                    {"UntypedStorage", at::kBits8}};
  const auto found = kTypes.find(storage_type.name);
  const std::string_view module = storage_type.module;
  const bool known = module == "torch" || module == "torch.cuda" || module == "torch.storage";
  return known && found != kTypes.end() ? found->second : at::ScalarType::Undefined;
}

std::vector<std::int64_t> integers_of(const PickleValue& value) {
  std::vector<std::int64_t> integers;
  for (const PickleValue& element : pickle_list(value)) {
    integers.push_back(pickle_integer(element));
  }
  return integers;
}

/// (storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata), of which the first four are
/// always there. The numbers may be read later than this, so that they are negated by a flag of the view.
PickleValue rebuild_tensor_v2(const PickleList& arguments) {
  check(arguments.size() >= 4, "malformed pickle: a tensor of {} arguments", arguments.size());
  if (const auto* storage = std::get_if<PickleOpaque>(&arguments[0].data)) {
    return {PickleOpaque{storage->module, storage->name, PickleOpaque::Kind::tensor_type}};
  }
  const at::Tensor tensor =
      view_of_storage(pickle_as<PickleStorage>(arguments[0], "a storage").flat, pickle_integer(arguments[1]),
                      integers_of(arguments[2]), integers_of(arguments[3]));
  bool is_negative = false;
  if (arguments.size() > 6 && !std::holds_alternative<std::monostate>(arguments[6].data)) {
    for (const auto& [key, value] : *pickle_as<PickleDict*>(arguments[6], "a dictionary")) {
      const auto* is_true = std::get_if<bool>(&value.data);
      if (is_true != nullptr && !*is_true) {
        continue;
      }
      is_negative = is_true != nullptr && pickle_text(key) == "neg" && tensor.scalar_type() != at::kBool;
      if (!is_negative) {
        return {PickleOpaque{"torch", pickle_text(key), PickleOpaque::Kind::tensor_metadata}};
      }
    }
  }
  return {is_negative ? at::_neg_view(tensor) : tensor};
}

}  // namespace

at::Tensor view_of_storage(const at::Tensor& flat, std::int64_t offset, std::span<const std::int64_t> size,
                           std::span<const std::int64_t> stride) {
  constexpr std::size_t kMaxDimensions = 64;  // torch's own limit
  check(size.size() <= kMaxDimensions, "malformed tensor: {} dimensions", size.size());
  bool fits = offset >= 0 && offset <= flat.numel() && size.size() == stride.size();
  bool is_empty = false;
  for (std::size_t i = 0; fits && i < size.size(); ++i) {
    fits = size[i] >= 0 && stride[i] >= 0;
    is_empty = is_empty || size[i] == 0;
  }
  // How far the last element lies behind the first; each term is bounded before it is multiplied.
  std::int64_t left = flat.numel() - 1 - offset;
  for (std::size_t i = 0; fits && !is_empty && i < size.size(); ++i) {
    fits = left >= 0 && (size[i] == 1 || stride[i] == 0 || size[i] - 1 <= left / stride[i]);
    left -= fits ? (size[i] - 1) * stride[i] : 0;
  }
  fits = fits && (is_empty || left >= 0);
  check(fits, "a tensor of size ({}) reaches outside of its storage of {} elements", fmt::join(size, ", "),
        flat.numel());
  // as_strided counts from the start of the memory, and `flat` may itself be a view of it.
  return flat.as_strided(at::IntArrayRef(size.data(), size.size()), at::IntArrayRef(stride.data(), stride.size()),
                         flat.storage_offset() + offset);
}

std::optional<PickleValue> rebuild_tensor(const PickleGlobal& function, const PickleList& arguments) {
  if (function.module != "torch._utils") {
    return std::nullopt;
  }
  if (function.name == "_rebuild_tensor_v2" || function.name == "_rebuild_tensor") {
    return rebuild_tensor_v2(arguments);
  }
  // Of a type that is newer than v2, which stands behind the hooks.
  const bool has_type = function.name == "_rebuild_tensor_v3" && arguments.size() >= 7;
  const auto* type = has_type ? std::get_if<PickleGlobal>(&arguments[6].data) : nullptr;
  if (type == nullptr) {
    return std::nullopt;
  }
  return PickleValue{PickleOpaque{type->module, type->name, PickleOpaque::Kind::tensor_type}};
}

std::string_view ByteReader::take(std::uint64_t count) {
  check(count <= bytes_.size(), "it ends too early: {} bytes expected, {} left", count, bytes_.size());
  const std::string_view piece = bytes_.substr(0, count);
  bytes_.remove_prefix(count);
  return piece;
}

std::int64_t ByteReader::int64() {
  static_assert(std::endian::native == std::endian::little);
  std::int64_t value = 0;
  std::memcpy(&value, take(sizeof(value)).data(), sizeof(value));
  return value;
}

Pickle ByteReader::pickle(const PersistentLoader& load_persistent) {
  Pickle pickle = load_persistent ? unpickle(bytes_, load_persistent) : unpickle(bytes_);
  bytes_.remove_prefix(pickle.num_bytes);
  return pickle;
}

at::Tensor StorageTable::declare(std::string_view key, at::ScalarType dtype, std::int64_t num_elements) {
  const auto found = storages_.find(key);
  if (found != storages_.end()) {
    const at::Tensor& flat = found->second;
    check(flat.scalar_type() == dtype && flat.numel() == num_elements,
          "storage {} is {} elements of {} and also {} of {}", printable(key), flat.numel(),
          c10::toString(flat.scalar_type()), num_elements, c10::toString(dtype));
    return flat;
  }
  const std::uint64_t element_size = c10::elementSize(dtype);
  check(num_elements >= 0 && static_cast<std::uint64_t>(num_elements) <= bytes_left_ / element_size,
        "storage {} has {} elements of {}, more than the file can hold", printable(key), num_elements,
        c10::toString(dtype));
  bytes_left_ -= static_cast<std::uint64_t>(num_elements) * element_size;
  return storages_.emplace(key, at::empty({num_elements}, at::TensorOptions().dtype(dtype))).first->second;
}

const at::Tensor& StorageTable::at(std::string_view key) const {
  const auto found = storages_.find(key);
  check(found != storages_.end(), "no tensor uses storage {}", printable(key));
  return found->second;
}

bool StorageId::is_read() const {
  return dtype != at::ScalarType::Undefined && !c10::isComplexType(dtype) && !c10::isQIntType(dtype) &&
         !c10::isBitsType(dtype);
}

StorageId storage_id_of(const PickleList& id) {
  check(id.size() >= 2, "malformed pickle: a persistent id of {} parts", id.size());
  const std::string_view kind = pickle_text(id[0]);
  check(kind == "storage" && id.size() >= 5, "malformed pickle: unknown persistent id \"{}\"", printable(kind));
  const auto& type = pickle_as<PickleGlobal>(id[1], "a storage type");
  return {type, storage_dtype(type), pickle_text(id[2]), pickle_integer(id[4])};
}

}  // namespace xtasc::tensorfile
