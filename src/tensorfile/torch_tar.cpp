// The torch.save format before PyTorch 0.1.10, in which torchvision's first ResNets (2017, such as
// resnet18-5c106cde.pth) were written: a tar file of "storages", "tensors" and "pickle", the last with numbers for the
// tensors. Source: https://github.com/pytorch/pytorch/blob/v2.11.0/torch/serialization.py (legacy_load in
// _legacy_load), https://github.com/pytorch/vision/issues/2068 (which files),
// https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html (ustar and its extended headers).
#include <ATen/ATen.h>

#include <charconv>
#include <cstring>
#include <map>
#include <string>

#include "tensorfile/formats.hpp"
#include "tensorfile/printable.hpp"
#include "tensorfile/storage.hpp"

namespace xtasc::tensorfile {

namespace {

constexpr std::size_t kBlock = 512;

/// A field of octal digits, ended by a blank or a zero byte.
std::uint64_t octal(std::string_view field) {
  field.remove_prefix(std::min(field.find_first_not_of(' '), field.size()));
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value, 8);
  check(error == std::errc() && (end == field.data() + field.size() || *end == ' ' || *end == '\0'),
        "malformed tar file: \"{}\" is no octal number", printable(field));
  return value;
}

/// The sum of a header's bytes, its own field counted as blanks.
std::uint64_t header_sum(std::string_view header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < header.size(); ++i) {
    sum += i >= 148 && i < 156 ? std::uint64_t{' '} : static_cast<unsigned char>(header[i]);
  }
  return sum;
}

std::map<std::string_view, std::string_view> tar_members(std::string_view bytes) {
  std::map<std::string_view, std::string_view> members;
  ByteReader reader(bytes);
  while (reader.rest().size() >= kBlock && reader.rest()[0] != '\0') {
    const std::string_view header = reader.take(kBlock);
    check(octal(header.substr(148, 8)) == header_sum(header), "malformed tar file: wrong sum of a header");
    const std::string_view name = header.substr(0, std::min<std::size_t>(header.find('\0'), 100));
    const std::uint64_t size = octal(header.substr(124, 12));
    const std::string_view content = reader.take(size);
    static_cast<void>(reader.take(std::min<std::uint64_t>((kBlock - size % kBlock) % kBlock, reader.rest().size())));
    const char type = header[156];
    if (type == '0' || type == '\0') {  // not a folder, nor an extended header, which has times and owners
      members[name] = content;
    }
  }
  return members;
}

ByteReader open_member(const std::map<std::string_view, std::string_view>& members, std::string_view name) {
  const auto found = members.find(name);
  check(found != members.end(), "it is a tar file without \"{}\", so not one of torch.save", name);
  return ByteReader(found->second);
}

/// What the "pickle" refers to by number.
using Objects = std::map<std::int64_t, PickleValue>;

const at::Tensor& storage_at(const Objects& objects, const PickleValue& key) {
  const auto found = objects.find(pickle_integer(key));
  check(found != objects.end(), "storage {} is missing", pickle_integer(key));
  return pickle_as<PickleStorage>(found->second, "a storage").flat;
}

void read_storages(ByteReader reader, std::uint64_t file_bytes, Objects& objects) {
  StorageTable table(file_bytes);
  const std::int64_t num_storages = pickle_integer(reader.pickle().root);
  for (std::int64_t i = 0; i < num_storages; ++i) {
    const Pickle entry = reader.pickle();
    const PickleList& parts = pickle_list(entry.root);  // key, location, type
    check(parts.size() == 3, "malformed pickle: a storage of {} parts", parts.size());
    const std::int64_t key = pickle_integer(parts[0]);
    const at::ScalarType dtype = storage_dtype(pickle_as<PickleGlobal>(parts[2], "a storage type"));
    check(!objects.contains(key), "storage {} is there twice", key);
    const at::Tensor flat = table.declare(std::to_string(key), dtype, reader.int64());
    const std::string_view data = reader.take(flat.nbytes());
    std::memcpy(flat.mutable_data_ptr(), data.data(), data.size());
    objects[key] = {PickleStorage{flat}};
  }
  const Pickle views = reader.pickle();
  for (const PickleValue& entry : pickle_list(views.root)) {
    const PickleList& parts = pickle_list(entry);  // key, key of the whole, offset, number of elements
    check(parts.size() == 4, "malformed pickle: a view of {} parts", parts.size());
    const std::int64_t size = pickle_integer(parts[3]);
    const std::int64_t stride = 1;
    const at::Tensor view =
        view_of_storage(storage_at(objects, parts[1]), pickle_integer(parts[2]), {&size, 1}, {&stride, 1});
    objects[pickle_integer(parts[0])] = {PickleStorage{view}};
  }
}

void read_tensors(ByteReader reader, Objects& objects) {
  const std::int64_t num_tensors = pickle_integer(reader.pickle().root);
  for (std::int64_t i = 0; i < num_tensors; ++i) {
    const Pickle entry = reader.pickle();
    const PickleList& parts = pickle_list(entry.root);  // key, key of the storage, type
    check(parts.size() == 3, "malformed pickle: a tensor of {} parts", parts.size());
    // An int32, and four bytes that were once its upper half.
    const std::int64_t num_dimensions = reader.int64() & 0xffffffff;
    check(num_dimensions <= 64, "malformed tensor: {} dimensions", num_dimensions);
    std::vector<std::int64_t> size(static_cast<std::size_t>(num_dimensions));
    std::vector<std::int64_t> stride(size.size());
    for (auto* numbers : {&size, &stride}) {
      for (std::int64_t& number : *numbers) {
        number = reader.int64();
      }
    }
    const std::int64_t offset = reader.int64();
    const at::Tensor tensor = view_of_storage(storage_at(objects, parts[1]), offset, size, stride);
    objects[pickle_integer(parts[0])] = {tensor};
  }
}

PickleValue load_object(const PickleValue& id, const Objects& objects) {
  if (std::holds_alternative<PickleList*>(id.data)) {
    static_cast<void>(storage_id_of(pickle_list(id)));  // only modules were pickled like this: says so
    fail("malformed pickle: unknown persistent id");
  }
  const std::string_view text = pickle_text(id);
  std::int64_t key = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), key);
  const auto found = objects.find(key);
  check(error == std::errc() && end == text.data() + text.size() && found != objects.end(), "tensor {} is missing",
        printable(text));
  return found->second;
}

}  // namespace

bool is_tar(std::string_view bytes) {
  return bytes.size() >= kBlock && bytes.substr(257, 5) == "ustar";
}

TensorFile read_torch_tar(std::string_view bytes) {
  const auto members = tar_members(bytes);
  Objects objects;
  read_storages(open_member(members, "storages"), bytes.size(), objects);
  read_tensors(open_member(members, "tensors"), objects);
  ByteReader reader = open_member(members, "pickle");
  const Pickle object = reader.pickle([&](const PickleValue& id) { return load_object(id, objects); });
  return tensors_of(object, Format::torch_tar, bytes.size());
}

}  // namespace xtasc::tensorfile
