#include "preprocess/datasets/mtan_arrays.hpp"

#include <fmt/format.h>

#include <cmath>

#include "core/error.hpp"

namespace xtasc::preprocess {

namespace {

constexpr std::int64_t kMaxExtent = 1 << 14;

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

}  // namespace

Size check_array(const io::NpyHeader& header, MtanPart part, const std::string& where) {
  const bool is_float = header.type.starts_with("<f");
  const bool is_vector = part == MtanPart::image || part == MtanPart::normals;
  if (part == MtanPart::image) {
    check(is_float || header.type == "|u1",
          "cannot use {}: elements are of type '{}'; float32, float64 (0 to 1) or uint8 (0 to 255) are expected", where,
          header.type);
  } else {
    check(is_float || part == MtanPart::label,
          "cannot use {}: elements are of type '{}', float32 or float64 are expected", where, header.type);
  }
  const auto& shape = header.shape;
  const bool has_channels = shape.size() == 3 && shape[2] == (is_vector ? 3 : 1);
  check((has_channels || (!is_vector && shape.size() == 2)) && shape[0] > 0 && shape[1] > 0 && shape[0] <= kMaxExtent &&
            shape[1] <= kMaxExtent,
        "cannot use {}: its shape is {}, (height, width{}) is expected{}", where, shape_text(shape),
        is_vector ? ", 3" : "",
        shape.size() == 3 && shape[0] == (is_vector ? 3 : 1) ? ": its channels come first, move them to the end" : "");
  return {shape[0], shape[1]};
}

void check_array_size(Size found, Size expected, const std::string& where, const std::string& reference) {
  check(found == expected, "cannot use {}: {} x {} pixels (height x width), {} has {} x {}{}", where, found.height,
        found.width, reference, expected.height, expected.width,
        found == Size{expected.width, expected.height} ? ": height and width are swapped" : "");
}

std::string pixel_text(std::size_t pixel, const io::NpyHeader& header) {
  const auto width = static_cast<std::size_t>(header.shape[1]);
  return fmt::format("row {}, column {}", pixel / width, pixel % width);
}

std::vector<std::int16_t> normals_of(const io::NpyNumbers& file, const AxisSigns& signs, const std::string& where) {
  constexpr double kTolerance = 1e-2;
  std::vector<std::int16_t> normals(file.values.size());
  for (std::size_t i = 0; i < normals.size(); i += 3) {
    const double x = signs[0] * file.values[i], y = signs[1] * file.values[i + 1], z = signs[2] * file.values[i + 2];
    const double length = std::sqrt(x * x + y * y + z * z);
    if (length != 0.0 && !(std::abs(length - 1.0) <= kTolerance)) {
      fail("cannot use {}: normal ({}, {}, {}) of length {:.4g} at {}; length 1, or 0 (invalid), is expected", where,
           file.values[i], file.values[i + 1], file.values[i + 2], length, pixel_text(i / 3, file.header));
    }
    store_normal(x, y, z, &normals[i]);
  }
  return normals;
}

}  // namespace xtasc::preprocess
