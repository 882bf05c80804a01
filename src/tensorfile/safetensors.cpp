// Eight bytes with the header's length, the header in JSON, the tensors' numbers without gaps; all little-endian.
// Source: https://github.com/huggingface/safetensors#format
#include <ATen/ATen.h>

#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include "tensorfile/formats.hpp"
#include "tensorfile/printable.hpp"
#include "tensorfile/storage.hpp"

namespace xtasc::tensorfile {

namespace {

using nlohmann::json;

/// The reference implementation's bound is 100 MB; a header of 8 MiB describes 80,000 tensors.
constexpr std::uint64_t kMaxHeader = std::uint64_t{8} << 20;

/// Undefined for a type that is not read.
at::ScalarType dtype_of(const std::string& name) {
  static const std::map<std::string_view, at::ScalarType> kTypes = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16}, {"I64", at::kLong},
      {"I32", at::kInt},    {"I16", at::kShort}, {"I8", at::kChar},  {"U8", at::kByte},       {"BOOL", at::kBool}};
  const auto found = kTypes.find(name);
  return found != kTypes.end() ? found->second : at::ScalarType::Undefined;
}

/// Refuses what the format does not have: deep nesting and a name twice.
json parse_header(std::string_view text) {
  std::set<std::string> names;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    check(depth <= 3, "its header is nested too deeply");
    if (depth == 1 && event == json::parse_event_t::key) {
      const auto& name = parsed.get_ref<const std::string&>();
      check(names.insert(name).second, "{} is there twice", printable(name));
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::parse_error& error) {
    fail("its header is not JSON at byte {}", error.byte);
  } catch (const json::exception&) {
    fail("its header has a number out of range");
  }
}

/// The field as whole numbers >= 0 that fit into an int64.
std::vector<std::int64_t> integers_of(const json& entry, const char* field, const std::string& tensor) {
  const auto found = entry.find(field);
  check(found != entry.end() && found->is_array(), "{} has no list \"{}\"", printable(tensor), field);
  std::vector<std::int64_t> integers;
  for (const json& value : *found) {
    check(value.is_number_unsigned() && value.get<std::uint64_t>() <= std::uint64_t{1} << 62,
          "{}: \"{}\" has something that is no size", printable(tensor), field);
    integers.push_back(value.get<std::int64_t>());
  }
  return integers;
}

/// shape x element size, or nothing when that is no number of bytes.
std::optional<std::int64_t> bytes_of(const std::vector<std::int64_t>& shape, at::ScalarType dtype) {
  auto bytes = static_cast<std::int64_t>(c10::elementSize(dtype));
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

struct Entry {
  std::int64_t begin, end;
  std::string name, type;
  at::ScalarType dtype;
  std::vector<std::int64_t> shape;
};

Entry entry_of(const std::string& name, const json& value) {
  check(value.is_object(), "{} is {} in the header, an object expected", printable(name), value.type_name());
  const auto type = value.find("dtype");
  check(type != value.end() && type->is_string(), "{} has no text \"dtype\"", printable(name));
  const at::ScalarType dtype = dtype_of(type->get<std::string>());
  const auto shape = integers_of(value, "shape", name);
  const auto offsets = integers_of(value, "data_offsets", name);
  check(shape.size() <= 64, "{} has {} dimensions", printable(name), shape.size());
  const bool fits = offsets.size() == 2 && offsets[0] <= offsets[1] &&
                    (dtype == at::ScalarType::Undefined || bytes_of(shape, dtype) == offsets[1] - offsets[0]);
  check(fits, "{}: its offsets [{}] do not fit {} x {}", printable(name), fmt::join(offsets, ", "),
        fmt::join(shape, " x "), c10::toString(dtype));
  return {offsets[0], offsets[1], name, type->get<std::string>(), dtype, shape};
}

}  // namespace

bool is_safetensors(std::string_view bytes) {
  std::uint64_t header_bytes = 0;
  if (bytes.size() < sizeof(header_bytes) + 2) {
    return false;
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  return header_bytes >= 2 && header_bytes <= kMaxHeader && bytes[sizeof(header_bytes)] == '{';
}

TensorFile read_safetensors(std::string_view bytes) {
  ByteReader reader(bytes);
  const json header = parse_header(reader.take(static_cast<std::uint64_t>(reader.int64())));
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      check(!has_control_characters(name), "a tensor's name has control characters: {}", printable(name));
      entries.push_back(entry_of(name, value));
    }
  }
  check(!entries.empty(), "it holds no tensors");
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  TensorFile file{.format = Format::safetensors, .wrapper = {}, .beside = {}, .tensors = {}, .unread = {}};
  std::int64_t position = 0;
  for (const Entry& entry : entries) {  // in the order of the data, without gaps: so within the file and never twice
    check(entry.begin == position, "{} starts at byte {} of the data, {} expected", printable(entry.name), entry.begin,
          position);
    const std::string_view data = reader.take(static_cast<std::uint64_t>(entry.end - entry.begin));
    position = entry.end;
    if (entry.dtype == at::ScalarType::Undefined) {
      file.unread.emplace(entry.name, entry.type);
      continue;
    }
    at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(entry.dtype));
    if (!data.empty()) {
      std::memcpy(tensor.mutable_data_ptr(), data.data(), data.size());
    }
    file.tensors.emplace(entry.name, tensor);
  }
  check(reader.rest().empty(), "{} bytes follow its last tensor", reader.rest().size());
  check(!file.tensors.empty(), "{} is of type \"{}\", which is not supported", printable(entries.front().name),
        printable(entries.front().type));
  return file;
}

}  // namespace xtasc::tensorfile
