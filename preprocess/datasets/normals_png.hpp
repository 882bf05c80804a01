#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "io/image/image.hpp"
#include "preprocess/normals.hpp"

namespace xtasc::preprocess {

/// Where the normals of one sample lie: a PNG of three channels of 8 bits, n = 2 value / 255 - 1.
struct NormalsFiles {
  std::filesystem::path normals;
  std::filesystem::path mask;  ///< a grey PNG of 8 bits, 0 = invalid; empty: a vector shorter than 0.1 is invalid
};

/// Looks at the headers. \param rules  the size that both must have; turned files are refused whatever it says, since
/// their vectors would have to be turned too. \param read_header  io::read_image_header, or the one that looks through
/// the whole file
/// \throws Error  naming the file: missing, no PNG, another number of channels or bits, another size
void check_normals_files(const NormalsFiles& files, io::ImageRules rules,
                         io::ImageHeader (*read_header)(const std::filesystem::path&));

/// \returns  height x width x 3 as packs store them, of unit length
/// \throws Error  as check_normals_files; also where a mask has a pixel whose vector is shorter than 0.1
[[nodiscard]] std::vector<std::int16_t> read_normals_files(const NormalsFiles& files, io::ImageRules rules,
                                                           const AxisSigns& signs);

}  // namespace xtasc::preprocess
