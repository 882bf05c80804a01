#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/image/image.hpp"
#include "pack/schema.hpp"
#include "preprocess/normals.hpp"
#include "preprocess/resize.hpp"

namespace xtasc::preprocess {

/// What a dataset.toml says about a folder of images. configs/nyuv2_images.dataset.toml shows and explains every key.
struct FolderDescription {
  std::filesystem::path path;    ///< of the description itself
  std::string name;              ///< name
  std::string source;            ///< source, optional
  std::optional<Size> size;      ///< size = [height, width] of the pack, optional
  std::optional<Size> raw_size;  ///< raw_size = [height, width] of every raw file, optional
  /// orientation = "apply" or "ignore", optional: what becomes of images, labels and depth that EXIF turns
  io::Orientation orientation = io::Orientation::refuse;
  std::string image_file;  ///< [image] file: a pattern with {id} in it
  struct Label {
    std::string file;                       ///< pattern
    std::vector<std::int64_t> void_values;  ///< void: values without a class
    std::int64_t offset = 0;                ///< class = value - offset
    std::vector<std::string> class_names;
    std::vector<pack::Rgb> class_colors;  ///< optional
    bool may_be_missing = false;          ///< optional = true: an image without such a file has no labels
  } label;
  struct Depth {
    std::string file;  ///< pattern
    pack::DepthKind kind = pack::DepthKind::metres;
    int bits = 16;        ///< of the PNG: 8 or 16
    double offset = 0.0;  ///< depth = (value + offset) / divisor
    double divisor = 1.0;
    std::vector<std::int64_t> invalid_values;  ///< invalid: values without a depth
    bool may_be_missing = false;               ///< optional = true
  } depth;
  struct Normals {
    std::string file;             ///< pattern
    std::string mask;             ///< pattern, optional: a grey PNG, 0 = invalid
    AxisSigns signs = {1, 1, 1};  ///< axes = "right,down,in", optional: what the components count
    bool may_be_missing = false;  ///< optional = true
  };
  std::optional<Normals> normals;
  std::array<std::string, 2> split_files;  ///< [split] train, val: one id a line
};

/// Reads a dataset.toml; strict: an unknown key, a missing one or one of the wrong type is an error.
/// \throws Error (exit code 2)  "FILE:LINE:COLUMN: what is wrong, what would be right".
[[nodiscard]] FolderDescription read_folder_description(const std::filesystem::path& path);

}  // namespace xtasc::preprocess
