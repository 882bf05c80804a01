#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace xtasc::io {

/// Writes a .npy file of float32, version 1.0, atomically, C order. \param values  as many as the product of `shape`.
/// \throws Error  with the path and the reason.
void write_npy(const std::filesystem::path& path, std::span<const float> values, std::span<const std::int64_t> shape);

/// What a .npy file says before its data.
struct NpyHeader {
  std::string type;  ///< as NumPy writes it: "<f4", "|u1", ...
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

/// Reads the header (versions 1.0 to 3.0) alone and holds the file's size against it. Element types that
/// read_npy_numbers takes, either order. \throws Error  naming the file: it cannot be read, is not .npy (with what it
/// is instead, e.g. a Git LFS pointer), is shorter or longer than its shape needs, or has elements that are no real
/// numbers.
[[nodiscard]] NpyHeader read_npy_header(const std::filesystem::path& path);

/// A .npy file of real numbers of any type.
struct NpyNumbers {
  NpyHeader header;
  std::vector<double> values;  ///< in C order, whatever the file's
};

/// Reads bool, integers of 8 to 64 bits, float32 or float64, little endian, C or Fortran order. Integers beyond 2^53
/// are rounded. \throws Error  as read_npy_header.
[[nodiscard]] NpyNumbers read_npy_numbers(const std::filesystem::path& path);

}  // namespace xtasc::io
