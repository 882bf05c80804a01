#include "preprocess/datasets/matlab5.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/image.hpp"

namespace xtasc::preprocess {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHeaderBytes = 128;
constexpr std::size_t kMaxBytes = std::size_t{16}
                                  << 20;  ///< of a file and of what it inflates to: 1000 times the usual

// Types of elements and classes of arrays in the file, of which there are more.
constexpr std::uint32_t kMatrixElement = 14;
constexpr std::uint32_t kCompressedElement = 15;
constexpr std::uint32_t kStructClass = 2;
constexpr std::uint32_t kFirstNumericClass = 6;  // double
constexpr std::uint32_t kLastNumericClass = 15;  // uint64
constexpr std::uint32_t kComplexFlag = 0x0800;

struct Element {
  std::uint32_t type = 0;
  std::string_view data;
};

/// A row of elements, taken off one by one. An element is a type, a length and so many bytes.
class Elements {
 public:
  Elements(std::string_view bytes, const fs::path& path) : rest_(bytes), path_(&path) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] const fs::path& path() const { return *path_; }

  Element next() {
    need(rest_.size() >= 8);
    Element element{number(rest_, 0), {}};
    std::size_t length = number(rest_, 4);
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

  /// The little-endian word at byte `at`.
  [[nodiscard]] static std::uint32_t number(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    return value;
  }

 private:
  std::string_view rest_;
  const fs::path* path_;
};

struct EndInflate {
  z_stream* stream;
  ~EndInflate() { inflateEnd(stream); }
};

std::string inflated(std::string_view packed, const Elements& elements) {
  constexpr std::size_t kStep = 64 * 1024;
  z_stream stream{};
  elements.need(inflateInit(&stream) == Z_OK);
  const EndInflate end{&stream};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string out;
  int status = Z_OK;
  while (status == Z_OK) {
    check(out.size() < kMaxBytes, "cannot read '{}': a variable of over {} bytes", elements.path().string(), kMaxBytes);
    const std::size_t filled = out.size();
    out.resize(filled + kStep);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
    stream.avail_out = kStep;
    status = inflate(&stream, Z_NO_FLUSH);
    out.resize(filled + kStep - stream.avail_out);
  }
  elements.need(status == Z_STREAM_END);
  return out;
}

/// An array up to its name; what its class adds is still in `rest`.
struct Matrix {
  std::uint32_t array_class = 0;
  bool is_complex = false;
  std::size_t count = 1;
  std::string_view name;
  Elements rest;

  [[nodiscard]] bool is_real_numbers() const {
    return array_class >= kFirstNumericClass && array_class <= kLastNumericClass && !is_complex;
  }
};

/// \returns nothing for what is no array of numbers, texts, cells or structs; these are laid out otherwise.
std::optional<Matrix> read_matrix(const Element& element, const fs::path& path) {
  Matrix matrix{.name = {}, .rest = Elements(element.data, path)};
  if (element.type != kMatrixElement || element.data.empty()) {
    return std::nullopt;
  }
  const Element flags = matrix.rest.next();
  matrix.rest.need(flags.data.size() == 8);
  matrix.array_class = Elements::number(flags.data, 0) & 0xff;
  matrix.is_complex = (Elements::number(flags.data, 0) & kComplexFlag) != 0;
  if (matrix.array_class > kLastNumericClass) {
    return std::nullopt;
  }
  const Element extents = matrix.rest.next();
  matrix.rest.need(extents.data.size() >= 8 && extents.data.size() % 4 == 0);
  for (std::size_t at = 0; at < extents.data.size(); at += 4) {
    const std::size_t extent = Elements::number(extents.data, at);
    matrix.rest.need(extent <= kMaxBytes && matrix.count * extent <= kMaxBytes);
    matrix.count *= extent;
  }
  matrix.name = matrix.rest.next().data;
  return matrix;
}

template <typename T>
std::vector<double> converted(std::string_view bytes) {
  std::vector<T> stored(bytes.size() / sizeof(T));
  if (!stored.empty()) {
    std::memcpy(stored.data(), bytes.data(), stored.size() * sizeof(T));
  }
  std::vector<double> values(stored.size());
  std::transform(stored.begin(), stored.end(), values.begin(), [](T value) { return static_cast<double>(value); });
  return values;
}

/// The array's values, which may be stored in a smaller type than its class says; empty for what is no real numbers.
std::vector<double> numbers_of(Matrix matrix) {
  if (!matrix.is_real_numbers()) {
    return {};
  }
  const Element stored = matrix.rest.next();
  std::vector<double> values;
  switch (stored.type) {
    case 1:
      values = converted<std::int8_t>(stored.data);
      break;
    case 2:
      values = converted<std::uint8_t>(stored.data);
      break;
    case 3:
      values = converted<std::int16_t>(stored.data);
      break;
    case 4:
      values = converted<std::uint16_t>(stored.data);
      break;
    case 5:
      values = converted<std::int32_t>(stored.data);
      break;
    case 6:
      values = converted<std::uint32_t>(stored.data);
      break;
    case 7:
      values = converted<float>(stored.data);
      break;
    case 9:
      values = converted<double>(stored.data);
      break;
    case 12:
      values = converted<std::int64_t>(stored.data);
      break;
    case 13:
      values = converted<std::uint64_t>(stored.data);
      break;
    default:
      matrix.rest.need(false);
  }
  matrix.rest.need(values.size() == matrix.count);
  return values;
}

/// Field `name` of the struct's first entry.
std::optional<Matrix> field_of(Matrix matrix, const std::string& name) {
  const Element length_element = matrix.rest.next();
  matrix.rest.need(length_element.data.size() == 4);
  const std::size_t length = Elements::number(length_element.data, 0);
  const std::string_view names = matrix.rest.next().data;
  matrix.rest.need(length > 0 && names.size() % length == 0);
  for (std::size_t at = 0; at < names.size() && matrix.count > 0; at += length) {
    const std::string_view field = names.substr(at, length);
    const Element value = matrix.rest.next();
    if (field.substr(0, field.find('\0')) == name) {
      return read_matrix(value, matrix.rest.path());
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::size_t> read_indices(const fs::path& path, const std::string& owner, const std::string& name,
                                      std::size_t low, std::size_t high) {
  const std::string where = fmt::format("'{}': {}{}{}", path.string(), owner, owner.empty() ? "" : ".", name);
  const std::string file = io::read_file(path);
  const bool is_matlab5 = file.size() >= kHeaderBytes && file.compare(124, 4, std::string_view("\0\1IM", 4)) == 0;
  check(is_matlab5, "cannot read '{}': found {}, a MATLAB 5 file (little endian) is expected", path.string(),
        io::describe_content(file));
  check(file.size() <= kMaxBytes, "cannot read '{}': {} bytes are too many, {} is the limit", path.string(),
        file.size(), kMaxBytes);

  Elements variables(std::string_view(file).substr(kHeaderBytes), path);
  std::string variable;  // keeps what `found` points to
  std::optional<Matrix> found;
  while (!variables.empty() && !found) {
    Element element = variables.next();
    if (element.type == kCompressedElement) {
      variable = inflated(element.data, variables);
      element = Elements(variable, path).next();
    }
    found = read_matrix(element, path);
    if (found && found->name != (owner.empty() ? name : owner)) {
      found.reset();
    }
  }
  check(found.has_value(), "{} is missing", where);
  if (!owner.empty()) {
    check(found->array_class == kStructClass, "{} is missing: {} is no struct", where, owner);
    found = field_of(*found, name);
    check(found.has_value(), "{} is missing", where);
  }
  std::vector<std::size_t> indices;
  for (const double value : numbers_of(*found)) {
    check(value >= static_cast<double>(low) && value <= static_cast<double>(high) && value == std::floor(value),
          "{} holds {}, whole numbers from {} to {} are expected", where, value, low, high);
    indices.push_back(static_cast<std::size_t>(value));
  }
  check(!indices.empty(), "{} holds no numbers", where);
  return indices;
}

}  // namespace xtasc::preprocess
