// The torch.save format since PyTorch 1.6: a zip file with a pickle, "data.pkl", and one record for each storage.
// Source: https://github.com/pytorch/pytorch/blob/v2.11.0/torch/serialization.py (_save, _load).
#include <ATen/ATen.h>
#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>

#include <cstring>

#include "core/error.hpp"
#include "tensorfile/formats.hpp"
#include "tensorfile/printable.hpp"
#include "tensorfile/storage.hpp"

namespace xtasc::tensorfile {

namespace {

using caffe2::serialize::PyTorchStreamReader;

/// A file in memory. Not torch's own MemoryReadAdapter, which copies from wherever a damaged directory of records
/// points.
class Memory final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit Memory(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t size() const override { return bytes_.size(); }

  /// As many bytes as there are; too few are an error to the reader.
  std::size_t read(std::uint64_t position, void* to, std::size_t count, const char* /*what*/) const override {
    if (position >= bytes_.size()) {
      return 0;
    }
    return bytes_.copy(static_cast<char*>(to), count, position);
  }

 private:
  std::string_view bytes_;
};

/// Of records that torch's reader reads by itself at its start, whatever their directory says of their size: it would
/// ask for so much memory first. Files of 4 GiB and more, whose sizes stand elsewhere, are left to it. Source: PKWARE's
/// APPNOTE.TXT, 4.3.12 and 4.3.16.
void check_record_sizes(std::string_view bytes) {
  constexpr std::size_t kEnd = 22, kEntry = 46, kMax = 0xffffffff;
  const auto number = [bytes](std::size_t at, int num_bytes) {
    std::size_t value = 0;
    for (int i = num_bytes - 1; i >= 0; --i) {
      value = 256 * value + static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
    }
    return value;
  };
  if (bytes.size() < kEnd || bytes.size() >= kMax || !bytes.substr(bytes.size() - kEnd).starts_with("PK\x05\x06")) {
    return;
  }
  std::size_t at = number(bytes.size() - kEnd + 16, 4);
  while (at + kEntry <= bytes.size() && bytes.substr(at).starts_with("PK\x01\x02")) {
    const std::size_t size = number(at + 24, 4), name = number(at + 28, 2);
    check(size <= bytes.size(), "record {} is larger than the file", printable(bytes.substr(at + kEntry, name)));
    at += kEntry + name + number(at + 30, 2) + number(at + 32, 2);
  }
}

/// \param max_bytes  the file's length: torch.save does not compress, and what did could ask for any amount of memory
std::string record_text(PyTorchStreamReader& reader, const std::string& name, std::size_t max_bytes) {
  check(reader.hasRecord(name), "record {} is missing", printable(name));
  check(reader.getRecordSize(name) <= max_bytes, "record {} is larger than the file", printable(name));
  auto [data, size] = reader.getRecord(name);
  return std::string(static_cast<const char*>(data.get()), size);
}

PickleValue load_storage(PyTorchStreamReader& reader, const PickleValue& id, StorageTable& storages) {
  const StorageId storage = storage_id_of(pickle_list(id));
  if (!storage.is_read()) {
    return {PickleOpaque{storage.type.module, storage.type.name}};
  }
  const std::size_t num_known = storages.size();
  const at::Tensor flat = storages.declare(storage.key, storage.dtype, storage.num_elements);
  if (storages.size() > num_known) {
    const std::string record = fmt::format("data/{}", storage.key);
    check(reader.hasRecord(record), "record {} is missing", printable(record));
    const std::size_t size = reader.getRecordSize(record);
    check(size == flat.nbytes(), "record {} has {} bytes, {} elements of {} expected", printable(record), size,
          flat.numel(), c10::toString(flat.scalar_type()));
    if (size > 0) {
      reader.getRecord(record, flat.mutable_data_ptr(), size);
    }
  }
  return {PickleStorage{flat}};
}

/// Writes the opcodes of a pickled dict of tensors, as Python's torch.save does. Not torch's own C++ pickler: it adds a
/// type tag that `torch.load` refuses to open by default.
class PickleWriter {
 public:
  PickleWriter() : bytes_("\x80\x02}(", 4) {}  // protocol 2, empty dict, mark

  /// One entry: torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())
  void tensor(const std::string& name, const at::Tensor& contiguous, std::int64_t key) {
    text(name);
    bytes_ += "ctorch._utils\n_rebuild_tensor_v2\n(";
    bytes_ += '(';
    text("storage");
    bytes_ += fmt::format("ctorch\n{}Storage\n", storage_type(contiguous.scalar_type()));
    text(std::to_string(key));
    text("cpu");
    integer(contiguous.numel());
    bytes_ += "tQ";
    integer(0);
    integers(contiguous.sizes());
    integers(contiguous.strides());
    bytes_ += "\x89";
    bytes_ += "ccollections\nOrderedDict\n)RtR";
  }

  std::string finish() { return bytes_ + "u."; }

 private:
  static const char* storage_type(at::ScalarType type) {
    switch (type) {
      case at::kFloat:
        return "Float";
      case at::kDouble:
        return "Double";
      case at::kBFloat16:
        return "BFloat16";
      case at::kLong:
        return "Long";
      default:
        fail("tensors of {} are not written", c10::toString(type));
    }
  }

  template <typename T>
  void raw(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }

  void text(const std::string& value) {
    bytes_ += 'X';
    raw(static_cast<std::uint32_t>(value.size()));
    bytes_ += value;
  }

  void integer(std::int64_t value) {
    bytes_ += "\x8a\x08";  // LONG1 of eight bytes
    raw(value);
  }

  void integers(at::IntArrayRef values) {
    bytes_ += '(';
    for (const std::int64_t value : values) {
      integer(value);
    }
    bytes_ += 't';
  }

  std::string bytes_;
};

}  // namespace

TensorFile read_torch_zip(std::string_view bytes) {
  check_record_sizes(bytes);
  PyTorchStreamReader reader(std::make_shared<Memory>(bytes));
  check(!reader.hasRecord("byteorder") || record_text(reader, "byteorder", bytes.size()) == "little",
        "its numbers are big-endian");
  const std::string program = record_text(reader, "data.pkl", bytes.size());
  StorageTable storages(bytes.size());
  const Pickle pickle = unpickle(program, [&](const PickleValue& id) { return load_storage(reader, id, storages); });
  return tensors_of(pickle, Format::torch_zip, bytes.size());
}

std::string tensor_dict_bytes(const TensorDict& tensors) {
  std::string file;
  caffe2::serialize::PyTorchStreamWriter writer([&file](const void* data, std::size_t size) {
    file.append(static_cast<const char*>(data), size);
    return size;
  });
  PickleWriter pickle;
  std::int64_t key = 0;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor flat = tensor.detach().to(at::kCPU).contiguous();
    pickle.tensor(name, flat, key);
    writer.writeRecord(fmt::format("data/{}", key), flat.const_data_ptr(), flat.nbytes());
    ++key;
  }
  const std::string program = pickle.finish();
  writer.writeRecord("data.pkl", program.data(), program.size());
  constexpr std::string_view kOrder = "little";
  writer.writeRecord("byteorder", kOrder.data(), kOrder.size());
  writer.writeEndOfFile();
  return file;
}

}  // namespace xtasc::tensorfile
