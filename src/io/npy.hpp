#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace xtasc::io {

/// An array read from a NumPy .npy file, C order.
template <typename T>
struct NpyArray {
  std::vector<std::int64_t> shape;
  std::vector<T> values;
};

/// Writes a .npy file of version 1.0 atomically, C order. \param values  as many as the product of `shape`.
/// \throws Error  with the path and the reason.
void write_npy(const std::filesystem::path& path, std::span<const float> values, std::span<const std::int64_t> shape);
void write_npy(const std::filesystem::path& path, std::span<const std::uint8_t> values,
               std::span<const std::int64_t> shape);

/// Reads a .npy file of version 1.0 to 3.0, C order, little endian.
/// \throws Error  naming the file: not .npy, another element type, Fortran order, or a length that does not fit the
/// shape.
[[nodiscard]] NpyArray<float> read_npy_float(const std::filesystem::path& path);
[[nodiscard]] NpyArray<std::uint8_t> read_npy_bytes(const std::filesystem::path& path);

}  // namespace xtasc::io
