#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstddef>
#include <string>
#include <vector>

#include "io/hdf5/hdf5.hpp"

namespace xtasc::preprocess {

inline std::string word(std::size_t value) {
  std::string bytes(4, '\0');
  for (std::size_t i = 0; i < 4; ++i) {
    bytes[i] = static_cast<char>(value >> (8 * i));
  }
  return bytes;
}

inline std::string element(std::size_t type, const std::string& data) {
  return word(type) + word(data.size()) + data + std::string((8 - data.size() % 8) % 8, '\0');
}

/// A compressed column of doubles as MATLAB 5 stores it.
inline std::string mat_column(const std::string& name, const std::vector<double>& values) {
  const std::string bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  const std::string matrix = element(14, element(6, word(6) + word(0)) + element(5, word(values.size()) + word(1)) +
                                             element(1, name) + element(9, bytes));
  std::string packed(::compressBound(matrix.size()), '\0');
  uLongf size = packed.size();
  EXPECT_EQ(::compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(matrix.data()),
                       matrix.size()),
            Z_OK);
  return word(15) + word(size) + packed.substr(0, size);
}

/// \param chunk  {frames, columns, rows} of a compressed chunk; empty: contiguous.
template <typename T>
void write_frames(hid_t file, const char* name, hid_t type, const std::vector<hsize_t>& shape,
                  std::vector<hsize_t> chunk, const std::vector<T>& values) {
  const io::Hdf5Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
  const io::Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (!chunk.empty()) {
    chunk.insert(chunk.begin() + 1, shape.size() - 3, 1);
    H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data());
    H5Pset_deflate(creation.get(), 3);
  }
  const io::Hdf5Handle set(H5Dcreate2(file, name, type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                           H5Dclose);
  ASSERT_GE(H5Dwrite(set.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
}

/// A splits.mat. \param train, val  frames, from 1
inline std::string splits_file(const std::vector<double>& train, const std::vector<double>& val) {
  const std::string head = "MATLAB 5.0 MAT-file" + std::string(105, ' ') + std::string("\0\1IM", 4);
  return head + mat_column("trainNdxs", train) + mat_column("testNdxs", val);
}

}  // namespace xtasc::preprocess
