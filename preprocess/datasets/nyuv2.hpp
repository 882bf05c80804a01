#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "preprocess/raw_dataset.hpp"

namespace xtasc::preprocess {

/// The 13 classes of NYU Depth v2, in the order of kNyuv2Class13; the set is called "label".
[[nodiscard]] pack::LabelSet nyuv2_label_set();

/// NYU Depth v2 in its official file nyu_depth_v2_labeled.mat (MATLAB 7.3, which is HDF5, read frame by frame). Classes
/// and split are the official ones (nyuv2_tables.hpp), but a splits.mat beside it, MATLAB 5, says another split.
/// Samples are in the split's order and named "nyu_depth_v2_labeled.mat:17", 1-based. Frames that are not 480 x 640 are
/// told in the log and in the pack; higher than wide, or with depth that cannot be metres, they are refused.
class Nyuv2Dataset final : public RawDataset {
 public:
  /// Opens the file and checks it.
  /// \throws Error  saying what is missing or wrong: types, shapes, split indices out of range or there twice, frames
  /// without a split.
  explicit Nyuv2Dataset(const std::filesystem::path& root);
  ~Nyuv2Dataset() override;

  [[nodiscard]] const pack::Schema& schema() const override;
  [[nodiscard]] const std::vector<std::string>& names(pack::Split split) const override;
  [[nodiscard]] std::vector<std::string> check_files(pack::Split, std::size_t) const override { return {}; }
  /// All threads fetch from the file one after another; they inflate, where it is compressed, in parallel.
  [[nodiscard]] RawSample decode(pack::Split split, std::size_t index, const Resize& resize) const override;
  [[nodiscard]] std::optional<std::string> depth_fault(double largest) const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace xtasc::preprocess
