#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pack/schema.hpp"
#include "preprocess/raw_dataset.hpp"
#include "preprocess/resize.hpp"

namespace xtasc::preprocess {

struct BuildOptions {
  std::filesystem::path output{};
  Resize resize{};  ///< the size of the pack's samples, multiples of 32, and how they are made smaller
  int workers = 1;  ///< threads that check, decode and resize, >= 1
  bool overwrite = false;
  bool skip_bad = false;           ///< pack what is good, and write into the pack what was left out and why
  std::filesystem::path report{};  ///< where every fault is listed, one line each; empty: nowhere
  /// Told, before the wait for a sample's files, what it is called: a watch says where a file did not answer.
  std::function<void(const std::string& name)> on_sample = [](const std::string& /*name*/) {};
};

struct BuildResult {
  pack::Schema schema;                     ///< as written
  std::size_t num_train = 0, num_val = 0;  ///< samples in the pack
  std::size_t num_skipped = 0;             ///< samples left out
};

/// Packs `raw` into options.output. All raw files are checked first; then they are decoded by `workers` threads, at
/// most a few samples ahead of the one being written, and written in order: the pack is the same for any number of
/// workers.
///
/// \throws Error  listing every fault of the raw data, in which case nothing is written, unless skip_bad is set; or
/// that a split is empty, the output exists, the disk is full, or the user stopped the program.
BuildResult build_pack(const RawDataset& raw, const BuildOptions& options);

}  // namespace xtasc::preprocess
