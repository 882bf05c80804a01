#include "io/npy.hpp"

#include <fmt/format.h>

#include <cctype>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "io/atomic_file.hpp"

namespace xtasc::io {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

template <typename T>
void write_array(const std::filesystem::path& path, std::span<const T> values, std::span<const std::int64_t> shape,
                 std::string_view type) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    count *= extent;
  }
  const std::string shape_text = fmt::format("{}{}", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  check(count == static_cast<std::int64_t>(values.size()), "cannot write '{}': {} values do not fill the shape ({})",
        path.string(), values.size(), shape_text);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, shape_text);
  constexpr std::size_t kAlignment = 64;
  const std::size_t prefix = kMagic.size() + 4;
  header.append((kAlignment - (prefix + header.size() + 1) % kAlignment) % kAlignment, ' ');
  header.push_back('\n');

  std::string file(kMagic);
  file += '\x01';
  file += '\x00';
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8);
  file += header;
  file.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  write_file_atomically(path, file);
}

/// The text after 'key': in the header's dictionary, without leading blanks; empty when the key is absent.
std::string_view value_of(std::string_view header, std::string_view key) {
  const std::string quoted = fmt::format("'{}':", key);
  const auto position = header.find(quoted);
  if (position == std::string_view::npos) {
    return {};
  }
  header.remove_prefix(position + quoted.size());
  while (!header.empty() && header.front() == ' ') {
    header.remove_prefix(1);
  }
  return header;
}

std::vector<std::int64_t> parse_shape(std::string_view text, const std::filesystem::path& path) {
  std::vector<std::int64_t> shape;
  const auto end = text.find(')');
  check(text.starts_with('(') && end != std::string_view::npos, "cannot read '{}': its .npy header has no shape",
        path.string());
  bool in_number = false;
  for (const char c : text.substr(1, end - 1)) {
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      if (!in_number) {
        shape.push_back(0);
      }
      in_number = true;
      shape.back() = shape.back() * 10 + (c - '0');
      check(shape.back() < (std::int64_t{1} << 40), "cannot read '{}': its .npy shape is absurd", path.string());
    } else {
      check(c == ',' || c == ' ' || c == 'L', "cannot read '{}': its .npy shape is not a tuple of numbers",
            path.string());
      in_number = false;
    }
  }
  return shape;
}

template <typename T>
NpyArray<T> read_array(const std::filesystem::path& path, std::string_view type, std::string_view type_words) {
  const std::string file = read_file(path);
  check(file.starts_with(kMagic) && file.size() >= 12, "cannot read '{}': not a .npy file", path.string());
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(file[i])); };
  const std::size_t version = byte(6);
  check(version >= 1 && version <= 3, "cannot read '{}': .npy version {} is not known (1 to 3 are)", path.string(),
        version);
  const std::size_t start = version == 1 ? 10 : 12;
  const std::size_t length = byte(8) | byte(9) << 8 | (version == 1 ? 0 : byte(10) << 16 | byte(11) << 24);
  check(start + length <= file.size(), "cannot read '{}': truncated within its header", path.string());
  const auto header = std::string_view(file).substr(start, length);

  const std::string_view descr = value_of(header, "descr");
  const auto type_end = descr.size() < 2 ? std::string_view::npos : descr.find('\'', 1);
  const std::string_view found = type_end == std::string_view::npos ? "?" : descr.substr(1, type_end - 1);
  check(found == type || (sizeof(T) == 1 && found == "u1"),
        "cannot read '{}': elements are of type '{}', not '{}' ({})", path.string(), found, type, type_words);
  check(value_of(header, "fortran_order").starts_with("False"), "cannot read '{}': Fortran order, C order is accepted",
        path.string());

  NpyArray<T> array;
  array.shape = parse_shape(value_of(header, "shape"), path);
  const std::size_t available = (file.size() - start - length) / sizeof(T);
  std::size_t count = 1;
  for (const std::int64_t extent : array.shape) {
    const auto size = static_cast<std::size_t>(extent);
    const bool fits = size == 0 || count <= std::numeric_limits<std::size_t>::max() / size;
    check(fits, "cannot read '{}': its .npy shape is absurd", path.string());
    count *= size;
  }
  check(count == available && (file.size() - start - length) % sizeof(T) == 0,
        "cannot read '{}': its shape needs {} bytes of data, the file holds {}", path.string(), count * sizeof(T),
        file.size() - start - length);
  array.values.resize(count);
  std::memcpy(array.values.data(), file.data() + start + length, count * sizeof(T));
  return array;
}

}  // namespace

void write_npy(const std::filesystem::path& path, std::span<const float> values, std::span<const std::int64_t> shape) {
  write_array(path, values, shape, "<f4");
}

void write_npy(const std::filesystem::path& path, std::span<const std::uint8_t> values,
               std::span<const std::int64_t> shape) {
  write_array(path, values, shape, "|u1");
}

NpyArray<float> read_npy_float(const std::filesystem::path& path) {
  return read_array<float>(path, "<f4", "float32");
}

NpyArray<std::uint8_t> read_npy_bytes(const std::filesystem::path& path) {
  return read_array<std::uint8_t>(path, "|u1", "uint8");
}

}  // namespace xtasc::io
