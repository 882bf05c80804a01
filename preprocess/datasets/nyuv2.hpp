#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "preprocess/normals.hpp"
#include "preprocess/raw_dataset.hpp"

namespace xtasc::preprocess {

/// The 13 classes of NYU Depth v2, in the order of kNyuv2Class13; the set is called "label".
[[nodiscard]] pack::LabelSet nyuv2_label_set();

/// Where the normals of NYU Depth v2 come from.
struct Nyuv2Normals {
  /// normals/0000.png and masks/0000.png ..., numbered as the frames of the .mat file, from 0; empty: from depth
  std::filesystem::path folder{};
  AxisSigns signs = {1, 1, 1};  ///< of the components in the folder's files
};

/// NYU Depth v2 in its official file nyu_depth_v2_labeled.mat (MATLAB 7.3, which is HDF5, read frame by frame). Classes
/// and split are the official ones (nyuv2_tables.hpp), but a splits.mat beside it, MATLAB 5, says another split.
/// Samples are in the split's order and named "nyu_depth_v2_labeled.mat:17", 1-based. Frames that are not 480 x 640 are
/// told in the log and in the pack; higher than wide, or with depth that cannot be metres, they are refused.
///
/// Normals from depth are normals_from_depth() of the whole frames, seen by the camera of the toolbox
/// (https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html, camera_params.m, colour camera). Those of a folder are held
/// to them, so that none is packed whose axes are not what the user says.
class Nyuv2Dataset final : public RawDataset {
 public:
  /// Opens the file and checks it. \param normals  packs normals too
  /// \throws Error  saying what is missing or wrong: types, shapes, split indices out of range or there twice, frames
  /// without a split.
  explicit Nyuv2Dataset(const std::filesystem::path& root, std::optional<Nyuv2Normals> normals = std::nullopt);
  ~Nyuv2Dataset() override;

  [[nodiscard]] const pack::Schema& schema() const override;
  [[nodiscard]] const std::vector<std::string>& names(pack::Split split) const override;
  /// Files of normals that belong to no frame.
  [[nodiscard]] std::vector<std::string> list_faults() const override;
  /// Looks at the files of normals, where there are any.
  [[nodiscard]] std::vector<std::string> check_files(pack::Split split, std::size_t index) const override;
  /// All threads fetch from the file one after another; they inflate, where it is compressed, in parallel.
  [[nodiscard]] RawSample decode(pack::Split split, std::size_t index, const Resize& resize) const override;
  [[nodiscard]] std::optional<std::string> depth_fault(double largest) const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace xtasc::preprocess
