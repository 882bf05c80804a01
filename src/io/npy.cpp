#include "io/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/content.hpp"
#include "io/file.hpp"

namespace xtasc::io {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::string_view kWanted = "a .npy file";

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

struct ElementType {
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array<ElementType, 12> kElementTypes = {{{"|b1", 1},
                                                        {"|i1", 1},
                                                        {"|u1", 1},
                                                        {"u1", 1},
                                                        {"<i2", 2},
                                                        {"<u2", 2},
                                                        {"<i4", 4},
                                                        {"<u4", 4},
                                                        {"<i8", 8},
                                                        {"<u8", 8},
                                                        {"<f4", 4},
                                                        {"<f8", 8}}};

/// A header and where the data begins. \param file  the file's first bytes, or all of it. \returns nothing when `file`
/// ends within the header but the file itself, of `size` bytes, does not.
std::optional<std::pair<NpyHeader, std::size_t>> parse_header(std::string_view file, std::size_t size,
                                                              const std::filesystem::path& path) {
  check(file.starts_with(kMagic), "cannot read '{}': found {}, a .npy file is expected", path.string(),
        describe_content(file));
  check(file.size() >= 12, "cannot read '{}': truncated within its header", path.string());
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(file[i])); };
  const std::size_t version = byte(6);
  check(version >= 1 && version <= 3, "cannot read '{}': .npy version {} is not known (1 to 3 are)", path.string(),
        version);
  const std::size_t start = version == 1 ? 10 : 12;
  const std::size_t length = byte(8) | byte(9) << 8 | (version == 1 ? 0 : byte(10) << 16 | byte(11) << 24);
  check(start + length <= size, "cannot read '{}': truncated within its header", path.string());
  if (start + length > file.size()) {
    return std::nullopt;
  }
  const auto text = file.substr(start, length);
  const std::string_view descr = value_of(text, "descr");
  const auto type_end = descr.starts_with('\'') ? descr.find('\'', 1) : std::string_view::npos;
  const std::string_view order = value_of(text, "fortran_order");
  check(order.starts_with("False") || order.starts_with("True"), "cannot read '{}': its .npy header has no order",
        path.string());
  NpyHeader header;
  header.type = type_end == std::string_view::npos ? "?" : descr.substr(1, type_end - 1);
  header.fortran_order = order.starts_with("True");
  header.shape = parse_shape(value_of(text, "shape"), path);
  return std::pair{std::move(header), start + length};
}

/// \throws Error  unless `data_bytes` are what the shape needs. \returns the number of elements.
std::size_t check_data_size(const NpyHeader& header, std::size_t element_bytes, std::size_t data_bytes,
                            const std::filesystem::path& path) {
  std::size_t count = 1;
  for (const std::int64_t extent : header.shape) {
    const auto size = static_cast<std::size_t>(extent);
    const bool fits = size == 0 || count <= std::numeric_limits<std::size_t>::max() / 8 / size;
    check(fits, "cannot read '{}': its .npy shape is absurd", path.string());
    count *= size;
  }
  check(count * element_bytes == data_bytes, "cannot read '{}': its shape needs {} bytes of data, the file holds {}",
        path.string(), count * element_bytes, data_bytes);
  return count;
}

/// \throws Error  unless the elements are real numbers. \returns the bytes of one.
std::size_t number_bytes(const NpyHeader& header, const std::filesystem::path& path) {
  const auto* const found = std::find_if(kElementTypes.begin(), kElementTypes.end(),
                                         [&](const ElementType& type) { return type.name == header.type; });
  check(found != kElementTypes.end(),
        "cannot read '{}': elements are of type '{}'; bool, integers, float32 and float64, little endian, are accepted",
        path.string(), header.type);
  return found->bytes;
}

template <typename T>
std::vector<double> converted(std::string_view data) {
  std::vector<double> values(data.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(value);
  }
  return values;
}

/// \param type  one of kElementTypes.
std::vector<double> converted(std::string_view data, std::string_view type) {
  const char kind = type[type.size() - 2];
  switch (type.back()) {
    case '1':
      return kind == 'i' ? converted<std::int8_t>(data) : converted<std::uint8_t>(data);
    case '2':
      return kind == 'i' ? converted<std::int16_t>(data) : converted<std::uint16_t>(data);
    case '4':
      return kind == 'f'   ? converted<float>(data)
             : kind == 'i' ? converted<std::int32_t>(data)
                           : converted<std::uint32_t>(data);
    default:
      return kind == 'f'   ? converted<double>(data)
             : kind == 'i' ? converted<std::int64_t>(data)
                           : converted<std::uint64_t>(data);
  }
}

/// Fortran order (the first index runs fastest) -> C order (the last one does).
std::vector<double> in_c_order(const std::vector<double>& in, const std::vector<std::int64_t>& shape) {
  std::vector<std::size_t> index(shape.size(), 0), stride(shape.size(), 1);
  for (std::size_t axis = 1; axis < shape.size(); ++axis) {
    stride[axis] = stride[axis - 1] * static_cast<std::size_t>(shape[axis - 1]);
  }
  std::vector<double> out;
  out.reserve(in.size());
  while (out.size() < in.size()) {
    out.push_back(in[std::inner_product(index.begin(), index.end(), stride.begin(), std::size_t{0})]);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++index[axis] < static_cast<std::size_t>(shape[axis])) {
        break;
      }
      index[axis] = 0;
    }
  }
  return out;
}

}  // namespace

void write_npy(const std::filesystem::path& path, std::span<const float> values, std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    count *= extent;
  }
  const std::string shape_text = fmt::format("{}{}", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  check(count == static_cast<std::int64_t>(values.size()), "cannot write '{}': {} values do not fill the shape ({})",
        path.string(), values.size(), shape_text);
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape_text);
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

NpyHeader read_npy_header(const std::filesystem::path& path) {
  constexpr std::size_t kHeadBytes = 4096;
  std::string head = read_head(path, kHeadBytes, kWanted);
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  check(!error, "cannot read '{}': {}", path.string(), error.message());
  auto parsed = parse_header(head, size, path);
  if (!parsed) {
    head = read_file(path, kWanted);
    parsed = parse_header(head, head.size(), path);
  }
  check_data_size(parsed->first, number_bytes(parsed->first, path), size - parsed->second, path);
  return std::move(parsed->first);
}

NpyNumbers read_npy_numbers(const std::filesystem::path& path) {
  const std::string file = read_file(path, kWanted);
  auto [header, offset] = parse_header(file, file.size(), path).value();
  check_data_size(header, number_bytes(header, path), file.size() - offset, path);
  NpyNumbers numbers;
  numbers.values = converted(std::string_view(file).substr(offset), header.type);
  if (header.fortran_order) {
    numbers.values = in_c_order(numbers.values, header.shape);
  }
  numbers.header = std::move(header);
  return numbers;
}

}  // namespace xtasc::io
