#pragma once

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>

#include "io/hdf5/hdf5.hpp"

namespace xtasc::test {

/// Where the chunk of a sample lies in the file.
inline haddr_t chunk_address(const std::filesystem::path& path, const std::string& data_set, hsize_t sample) {
  const io::Hdf5Handle file = io::open_hdf5(path);
  const io::Hdf5Handle set(H5Dopen2(file.get(), data_set.c_str(), H5P_DEFAULT), H5Dclose);
  const std::array<hsize_t, 4> offset = {sample, 0, 0, 0};
  haddr_t address = 0;
  hsize_t size = 0;
  unsigned mask = 0;
  EXPECT_GE(H5Dget_chunk_info_by_coord(set.get(), offset.data(), &mask, &address, &size), 0);
  return address;
}

}  // namespace xtasc::test
