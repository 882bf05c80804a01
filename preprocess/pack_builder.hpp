#pragma once

#include <cstdint>
#include <filesystem>

#include "pack/schema.hpp"
#include "raw_dataset.hpp"
#include "resize.hpp"

namespace xtasc::preprocess {

/// How the image is made smaller; labels and depth are always nearest.
enum class ImageFilter { nearest, area };

struct BuildOptions {
  std::filesystem::path output;
  Size size;  ///< of the pack's samples, multiples of 32
  ImageFilter image_filter = ImageFilter::nearest;
  int workers = 1;  ///< threads that decode and resize, >= 1
  bool overwrite = false;
};

/// Packs `raw` into options.output. All raw files are checked first; then they are decoded by `workers` threads, at
/// most a few samples ahead of the one being written, and written in order: the pack is the same for any number of
/// workers.
///
/// \returns  the schema as written.
/// \throws Error  listing every fault of the raw data (nothing is written then); or that a split is empty, the output
/// exists, the disk is full, or the user stopped the program.
pack::Schema build_pack(const RawDataset& raw, const BuildOptions& options);

}  // namespace xtasc::preprocess
