#include "preprocess/datasets/matlab5.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/content.hpp"

namespace xtasc::preprocess {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHeaderBytes = 128;
constexpr std::size_t kMaxBytes = std::size_t{1} << 20;  ///< of the file and of a variable: 80 times the official ones

// Types of elements and classes of arrays in the file, of which there are more.
constexpr std::uint32_t kMatrixElement = 14;
constexpr std::uint32_t kCompressedElement = 15;
constexpr std::uint32_t kFirstNumericClass = 6;  // double
constexpr std::uint32_t kLastNumericClass = 15;  // uint64
constexpr std::uint32_t kComplexFlag = 0x0800;

/// The little-endian word at byte `at`.
std::uint32_t word(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

struct Element {
  std::uint32_t type = 0;
  std::string_view data;
};

/// A row of elements, taken off one by one. An element is a type, a length and so many bytes.
class Elements {
 public:
  Elements(std::string_view bytes, const fs::path& path) : rest_(bytes), path_(&path) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }

  Element next() {
    need(rest_.size() >= 8);
    Element element{word(rest_, 0), {}};
    std::size_t length = word(rest_, 4);
    if (element.type >> 16 != 0) {  // short form: both in four bytes, the data in the next four
      length = element.type >> 16;
      element.type &= 0xffff;
      need(length <= 4);
      element.data = rest_.substr(4, length);
      rest_.remove_prefix(8);
      return element;
    }
    need(length <= rest_.size() - 8);
    element.data = rest_.substr(8, length);
    const std::size_t padding = element.type == kCompressedElement ? 0 : (8 - length % 8) % 8;
    rest_.remove_prefix(std::min(8 + length + padding, rest_.size()));
    return element;
  }

  void need(bool is_whole) const {
    check(is_whole, "cannot read '{}': truncated or damaged MATLAB 5 file", path_->string());
  }

 private:
  std::string_view rest_;
  const fs::path* path_;
};

/// The element within a compressed one, which points into `buffer`.
Element inflated(const Element& packed, std::string& buffer, const Elements& elements, const fs::path& path) {
  buffer.resize(kMaxBytes);
  uLongf size = kMaxBytes;
  elements.need(::uncompress(reinterpret_cast<Bytef*>(buffer.data()), &size,
                             reinterpret_cast<const Bytef*>(packed.data.data()),
                             static_cast<uLong>(packed.data.size())) == Z_OK);
  return Elements(std::string_view(buffer).substr(0, size), path).next();
}

template <typename T>
std::vector<double> converted(std::string_view bytes) {
  std::vector<T> stored(bytes.size() / sizeof(T));
  if (!stored.empty()) {
    std::memcpy(stored.data(), bytes.data(), stored.size() * sizeof(T));
  }
  return {stored.begin(), stored.end()};
}

/// Values of an array, which may be stored in a smaller type than the array's own.
std::vector<double> numbers(const Element& stored, const Elements& elements) {
  switch (stored.type) {
    case 1:
      return converted<std::int8_t>(stored.data);
    case 2:
      return converted<std::uint8_t>(stored.data);
    case 3:
      return converted<std::int16_t>(stored.data);
    case 4:
      return converted<std::uint16_t>(stored.data);
    case 5:
      return converted<std::int32_t>(stored.data);
    case 6:
      return converted<std::uint32_t>(stored.data);
    case 7:
      return converted<float>(stored.data);
    case 9:
      return converted<double>(stored.data);
    default:
      elements.need(false);
  }
  return {};
}

}  // namespace

std::vector<std::size_t> read_indices(const fs::path& path, std::string_view name, std::size_t low, std::size_t high) {
  const std::string where = fmt::format("'{}': {}", path.string(), name);
  const std::string file = io::read_file(path);
  const bool is_matlab5 = file.size() >= kHeaderBytes && file.compare(124, 4, std::string_view("\0\1IM", 4)) == 0;
  check(is_matlab5, "cannot read '{}': found {}, a MATLAB 5 file (little endian) is expected", path.string(),
        io::describe_content(file));
  check(file.size() <= kMaxBytes, "cannot read '{}': {} bytes are too many, {} is the limit", path.string(),
        file.size(), kMaxBytes);

  std::string buffer;
  for (Elements variables(std::string_view(file).substr(kHeaderBytes), path); !variables.empty();) {
    Element variable = variables.next();
    if (variable.type == kCompressedElement) {
      variable = inflated(variable, buffer, variables, path);
    }
    if (variable.type != kMatrixElement || variable.data.empty()) {
      continue;
    }
    Elements parts(variable.data, path);  // flags, extents, name, values
    const Element flags = parts.next();
    parts.need(flags.data.size() == 8);
    const std::uint32_t array_class = word(flags.data, 0) & 0xff;
    if (array_class > kLastNumericClass) {  // laid out otherwise
      continue;
    }
    parts.next();
    if (parts.next().data != name) {
      continue;
    }
    check(array_class >= kFirstNumericClass && (word(flags.data, 0) & kComplexFlag) == 0, "{} holds no numbers", where);
    std::vector<std::size_t> indices;
    for (const double value : numbers(parts.next(), parts)) {
      check(value >= static_cast<double>(low) && value <= static_cast<double>(high) && value == std::floor(value),
            "{} holds {}, whole numbers from {} to {} are expected", where, value, low, high);
      indices.push_back(static_cast<std::size_t>(value));
    }
    check(!indices.empty(), "{} holds no numbers", where);
    return indices;
  }
  fail("{} is missing", where);
}

}  // namespace xtasc::preprocess
