#include "tensorfile/tensor_file.hpp"

#include <ATen/ATen.h>
#include <caffe2/serialize/in_memory_adapter.h>
#include <caffe2/serialize/inline_container.h>

#include <cstring>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "tensorfile/unpickle.hpp"

namespace xtasc::tensorfile {

namespace {

using caffe2::serialize::MemoryReadAdapter;
using caffe2::serialize::PyTorchStreamReader;

std::string record_text(PyTorchStreamReader& reader, const std::string& name) {
  auto [data, size] = reader.getRecord(name);
  return std::string(static_cast<const char*>(data.get()), size);
}

at::Tensor read_storage(PyTorchStreamReader& reader, const std::string& key, at::ScalarType dtype,
                        std::int64_t num_elements) {
  const std::string record = "data/" + key;
  check(reader.hasRecord(record), "record {} is missing", record);
  auto [data, size] = reader.getRecord(record);
  check(num_elements >= 0 && size == static_cast<std::size_t>(num_elements) * c10::elementSize(dtype),
        "record {} has {} bytes, {} elements of {} expected", record, size, num_elements, c10::toString(dtype));
  at::Tensor flat = at::empty({num_elements}, at::TensorOptions().dtype(dtype));
  std::memcpy(flat.mutable_data_ptr(), data.get(), size);
  return flat;
}

TensorDict read_from(const std::string& bytes) {
  PyTorchStreamReader reader(std::make_shared<MemoryReadAdapter>(bytes.data(), static_cast<off_t>(bytes.size())));
  check(!reader.hasRecord("byteorder") || record_text(reader, "byteorder") == "little", "its numbers are big-endian");
  std::map<std::string, at::Tensor> storages;  // several tensors may be views of one
  const PickleValue root = unpickle(record_text(reader, "data.pkl"),
                                    [&](const std::string& key, at::ScalarType dtype, std::int64_t num_elements) {
                                      at::Tensor& storage = storages[key];
                                      if (!storage.defined()) {
                                        storage = read_storage(reader, key, dtype, num_elements);
                                      }
                                      return storage;
                                    });
  const auto* dict = std::get_if<std::shared_ptr<PickleDict>>(&root.data);
  check(dict != nullptr, "it does not hold a dictionary");
  TensorDict tensors;
  for (const auto& [key, value] : **dict) {
    const auto* name = std::get_if<std::string>(&key.data);
    const auto* tensor = std::get_if<at::Tensor>(&value.data);
    if (name != nullptr && tensor != nullptr) {
      tensors[*name] = tensor->clone(at::MemoryFormat::Contiguous);
    }
  }
  check(!tensors.empty(), "it holds no tensors by name at its top level");
  return tensors;
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

TensorDict read_tensor_dict(const std::filesystem::path& path) {
  const std::string bytes = io::read_file(path);
  if (bytes.substr(0, 4) != std::string("PK\x03\x04", 4)) {
    fail("{} is not a zip file as torch.save has written since PyTorch 1.6; save it again with a newer PyTorch",
         path.string());
  }
  try {
    return read_from(bytes);
  } catch (const Error& error) {
    fail("{} is not a file of tensors: {}", path.string(), error.what());
  } catch (const c10::Error& error) {
    fail("{} is damaged: {}", path.string(), error.what_without_backtrace());
  }
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

void write_tensor_dict(const std::filesystem::path& path, const TensorDict& tensors) {
  io::write_file_atomically(path, tensor_dict_bytes(tensors));
}

}  // namespace xtasc::tensorfile
