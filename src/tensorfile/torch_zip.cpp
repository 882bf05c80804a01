// The torch.save format since PyTorch 1.6: a zip file with a pickle, "data.pkl", and one record for each storage.
// Source: https://github.com/pytorch/pytorch/blob/v2.11.0/torch/serialization.py (_save, _load).
#include <ATen/ATen.h>
#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/error.hpp"
#include "io/checksum.hpp"
#include "tensorfile/formats.hpp"
#include "tensorfile/printable.hpp"
#include "tensorfile/storage.hpp"
#include "tensorfile/zip_bytes.hpp"

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

/// What a zip file's directory says of a record.
struct DirectoryEntry {
  std::string_view name;
  std::size_t method = 0, size = 0, crc = 0, header = 0;  ///< 0: stored as it is; where its own header is
};

/// Little-endian.
std::size_t number_at(std::string_view bytes, std::size_t at, std::size_t num_bytes) {
  std::size_t value = 0;
  for (std::size_t i = num_bytes; i-- > 0;) {
    value = 256 * value + static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

/// Sizes and places that do not fit in 32 bits stand in an entry's extra field (zip64), in this order. \param extra all
/// fields of the entry
void take_zip64(DirectoryEntry& entry, std::string_view extra, std::size_t packed_size) {
  constexpr std::size_t kElsewhere = 0xffffffff, kZip64 = 1;
  while (extra.size() >= 4) {
    const std::size_t size = std::min(number_at(extra, 2, 2), extra.size() - 4);
    std::string_view field = extra.substr(4, size);
    if (number_at(extra, 0, 2) == kZip64) {
      std::size_t unused = packed_size;
      for (std::size_t* value : {&entry.size, &unused, &entry.header}) {
        if (*value == kElsewhere && field.size() >= 8) {
          *value = number_at(field, 0, 8);
          field.remove_prefix(8);
        }
      }
      return;
    }
    extra.remove_prefix(4 + size);
  }
}

/// Where the directory begins: as the last record says that ends one, which a comment may follow; of zip64 as its own
/// record says, which a locator in front of that one leads to.
std::size_t directory_begin(std::string_view bytes) {
  constexpr std::size_t kEnd = 22, kLocator = 20, kEnd64 = 56;
  const std::size_t end = bytes.rfind("PK\x05\x06");
  if (end == std::string_view::npos || end + kEnd > bytes.size()) {
    return bytes.size();
  }
  if (end >= kLocator && bytes.substr(end - kLocator).starts_with("PK\x06\x07")) {
    const std::size_t end64 = number_at(bytes, end - kLocator + 8, 8);
    if (end64 < bytes.size() && bytes.size() - end64 >= kEnd64 && bytes.substr(end64).starts_with("PK\x06\x06")) {
      return number_at(bytes, end64 + 48, 8);
    }
  }
  return number_at(bytes, end + 16, 4);
}

/// Empty where there is none. Source: PKWARE's APPNOTE.TXT, 4.3.12 to 4.3.16 and 4.5.3.
std::vector<DirectoryEntry> directory_of(std::string_view bytes) {
  constexpr std::size_t kEntry = 46;
  std::vector<DirectoryEntry> entries;
  std::size_t at = directory_begin(bytes);
  while (at < bytes.size() && bytes.size() - at >= kEntry && bytes.substr(at).starts_with("PK\x01\x02")) {
    const std::size_t name = number_at(bytes, at + 28, 2), extra = number_at(bytes, at + 30, 2);
    const std::size_t behind_name = std::min(at + kEntry + name, bytes.size());
    DirectoryEntry entry = {.name = bytes.substr(at + kEntry, name),
                            .method = number_at(bytes, at + 10, 2),
                            .size = number_at(bytes, at + 24, 4),
                            .crc = number_at(bytes, at + 16, 4),
                            .header = number_at(bytes, at + 42, 4)};
    take_zip64(entry, bytes.substr(behind_name, extra), number_at(bytes, at + 20, 4));
    entries.push_back(entry);
    at += kEntry + name + extra + number_at(bytes, at + 32, 2);
  }
  return entries;
}

/// Of records that torch's reader reads by itself at its start, whatever their directory says of their size: it would
/// ask for so much memory first.
void check_record_sizes(const std::vector<DirectoryEntry>& directory, std::size_t file_bytes) {
  for (const DirectoryEntry& entry : directory) {
    check(entry.size <= file_bytes, "record {} is larger than the file", printable(entry.name));
  }
}

/// Torch's reader looks at no checksum: a bit that flipped on a disk or on its way would be another weight. A file
/// without any, as torch.serialization.set_crc32_options(False) makes them, has zeros there. Source:
/// APPNOTE.TXT, 4.3.7.
void check_checksums(std::string_view bytes, const std::vector<DirectoryEntry>& directory) {
  constexpr std::size_t kHeader = 30;
  if (std::ranges::all_of(directory, [](const DirectoryEntry& entry) { return entry.crc == 0; })) {
    return;
  }
  for (const DirectoryEntry& entry : directory) {
    if (entry.method != 0) {
      continue;
    }
    bool is_whole = entry.header < bytes.size() && bytes.size() - entry.header >= kHeader;
    if (is_whole) {
      const std::size_t at =
          entry.header + kHeader + number_at(bytes, entry.header + 26, 2) + number_at(bytes, entry.header + 28, 2);
      is_whole =
          at <= bytes.size() && entry.size <= bytes.size() - at && io::crc32(bytes.substr(at, entry.size)) == entry.crc;
    }
    check(is_whole, "record {} is damaged: its bytes do not have the checksum that the file has of them",
          printable(entry.name));
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

/// The tensors, whatever their checksums.
TensorFile read_records(std::string_view bytes) {
  PyTorchStreamReader reader(std::make_shared<Memory>(bytes));
  check(!reader.hasRecord("byteorder") || record_text(reader, "byteorder", bytes.size()) == "little",
        "its numbers are big-endian");
  const std::string program = record_text(reader, "data.pkl", bytes.size());
  StorageTable storages(bytes.size());
  const Pickle pickle = unpickle(program, [&](const PickleValue& id) { return load_storage(reader, id, storages); });
  return tensors_of(pickle, Format::torch_zip, bytes.size());
}

/// Without what follows the record that ends a zip file: torch's reader looks for that near the file's end alone.
std::string_view without_tail(std::string_view bytes) {
  constexpr std::size_t kEnd = 22;
  const std::size_t end = bytes.rfind("PK\x05\x06");
  return end == std::string_view::npos || bytes.size() - end < kEnd
             ? bytes
             : bytes.substr(0, end + kEnd + number_at(bytes, end + 20, 2));
}

}  // namespace

TensorFile read_torch_zip(std::string_view whole) {
  const std::string_view bytes = without_tail(whole);
  const std::vector<DirectoryEntry> directory = directory_of(bytes);
  check(!directory.empty(),
        "cut off: the directory at a zip file's end is not there, as where a download or a copy of it broke off");
  check_record_sizes(directory, bytes.size());
  try {
    TensorFile file = read_records(bytes);
    check_checksums(bytes, directory);
    return file;
  } catch (const std::exception&) {  // which damage may have caused
    check_checksums(bytes, directory);
    throw;
  }
}

std::string tensor_dict_bytes(const TensorDict& tensors) {
  PickleWriter pickle;
  std::vector<at::Tensor> flat;
  std::size_t num_bytes = std::size_t{1} << 16;
  for (const auto& [name, tensor] : tensors) {
    flat.push_back(tensor.detach().to(at::kCPU).contiguous());
    pickle.tensor(name, flat.back(), static_cast<std::int64_t>(flat.size()) - 1);
    num_bytes += flat.back().nbytes() + 512;  // a record's header, its padding and its line in the directory
  }
  const std::string program = pickle.finish();
  return zip_bytes(num_bytes + program.size(), [&](const ZipSink& sink) {
    caffe2::serialize::PyTorchStreamWriter writer(sink);
    for (std::size_t key = 0; key < flat.size(); ++key) {
      writer.writeRecord(fmt::format("data/{}", key), flat[key].const_data_ptr(), flat[key].nbytes());
    }
    writer.writeRecord("data.pkl", program.data(), program.size());
    constexpr std::string_view kOrder = "little";
    writer.writeRecord("byteorder", kOrder.data(), kOrder.size());
    writer.writeEndOfFile();
  });
}

}  // namespace xtasc::tensorfile
