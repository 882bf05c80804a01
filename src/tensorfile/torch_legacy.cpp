// The torch.save format before PyTorch 1.6: five pickles (magic number, protocol version, system, the object, the keys
// of its storages), then for each key an int64 with the number of elements and the elements themselves.
// Source: https://github.com/pytorch/pytorch/blob/v2.11.0/torch/serialization.py (_legacy_save, _legacy_load).
#include <ATen/ATen.h>

#include <cstring>
#include <map>
#include <set>

#include "tensorfile/formats.hpp"
#include "tensorfile/printable.hpp"
#include "tensorfile/storage.hpp"

namespace xtasc::tensorfile {

namespace {

void check_system(const Pickle& system) {
  for (const auto& [key, value] : *pickle_as<PickleDict*>(system.root, "a dictionary")) {
    if (pickle_text(key) == "little_endian") {
      check(pickle_as<bool>(value, "true or false"), "its numbers are big-endian");
    }
  }
}

/// Storages that are not read, by key: they must be passed over, and the file does not say how long they are.
using Skipped = std::map<std::string_view, std::uint64_t>;  ///< bytes of an element

/// ("storage", type, key, location, number of elements, view), view being None or (key, offset, number of elements).
PickleValue load_storage(const PickleValue& id_value, StorageTable& storages, Skipped& skipped) {
  const PickleList& id = pickle_list(id_value);
  if (id.size() >= 2 && pickle_text(id[0]) == "module") {  // a class of torch.nn, with its source code behind it
    return {pickle_as<PickleGlobal>(id[1], "a class")};
  }
  const StorageId storage = storage_id_of(id);
  if (!storage.is_read()) {
    check(storage.dtype != at::ScalarType::Undefined, "storage {} is of type {}.{}, which is not known",
          printable(storage.key), printable(storage.type.module), printable(storage.type.name));
    const std::uint64_t bytes = c10::elementSize(storage.dtype);
    check(skipped.emplace(storage.key, bytes).first->second == bytes, "storage {} is of two types",
          printable(storage.key));
    return {PickleOpaque{storage.type.module, storage.type.name}};
  }
  const at::Tensor flat = storages.declare(storage.key, storage.dtype, storage.num_elements);
  if (id.size() < 6 || std::holds_alternative<std::monostate>(id[5].data)) {
    return {PickleStorage{flat}};
  }
  const PickleList& view = pickle_list(id[5]);
  check(view.size() == 3, "malformed pickle: a view of {} parts", view.size());
  const std::int64_t size = pickle_integer(view[2]);
  const std::int64_t stride = 1;
  return {PickleStorage{view_of_storage(flat, pickle_integer(view[1]), {&size, 1}, {&stride, 1})}};
}

}  // namespace

bool is_torch_legacy(std::string_view bytes) {
  constexpr std::string_view kNumber("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13);
  constexpr std::size_t kMostBefore = 11;  // the protocol, and a frame since protocol 4
  return bytes.starts_with('\x80') &&
         bytes.substr(0, kMostBefore + kNumber.size()).find(kNumber) != std::string_view::npos;
}

TensorFile read_torch_legacy(std::string_view bytes) {
  ByteReader reader(bytes);
  static_cast<void>(reader.pickle());  // the magic number
  constexpr std::int64_t kProtocol = 1001;
  const std::int64_t protocol = pickle_integer(reader.pickle().root);
  check(protocol == kProtocol, "it is of torch.save's protocol {}, {} is known", protocol, kProtocol);
  check_system(reader.pickle());
  StorageTable storages(bytes.size());
  Skipped skipped;
  const Pickle object = reader.pickle([&](const PickleValue& id) { return load_storage(id, storages, skipped); });
  const Pickle keys = reader.pickle();
  std::set<std::string_view> filled;
  for (const PickleValue& key : pickle_list(keys.root)) {
    const std::string_view name = pickle_text(key);
    check(filled.insert(name).second, "storage {} is there twice", printable(name));
    if (const auto found = skipped.find(name); found != skipped.end()) {
      const auto count = static_cast<std::uint64_t>(reader.int64());
      check(count <= bytes.size(), "storage {} has more elements than the file can hold", printable(name));
      static_cast<void>(reader.take(count * found->second));
      continue;
    }
    const at::Tensor& flat = storages.at(name);
    const std::int64_t num_elements = reader.int64();
    check(num_elements == flat.numel(), "storage {} has {} elements, {} expected", printable(name), num_elements,
          flat.numel());
    const std::string_view data = reader.take(flat.nbytes());
    std::memcpy(flat.mutable_data_ptr(), data.data(), data.size());
  }
  const std::size_t num_storages = storages.size() + skipped.size();
  check(filled.size() == num_storages, "{} of its {} storages are missing", num_storages - filled.size(), num_storages);
  check(reader.rest().empty(), "{} bytes follow its last storage", reader.rest().size());
  return tensors_of(object, Format::torch_legacy, bytes.size());
}

}  // namespace xtasc::tensorfile
