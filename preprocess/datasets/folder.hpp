#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/image/image.hpp"
#include "preprocess/datasets/folder_description.hpp"
#include "preprocess/datasets/normals_png.hpp"
#include "preprocess/raw_dataset.hpp"

namespace xtasc::preprocess {

/// Folders of images, label PNGs, depth PNGs and perhaps PNGs of normals, as a dataset.toml describes them. Samples are
/// in the order of the split lists.
class FolderDataset final : public RawDataset {
 public:
  /// Reads the split lists. \throws Error  when one is missing.
  FolderDataset(std::filesystem::path root, FolderDescription description);

  [[nodiscard]] const pack::Schema& schema() const override { return schema_; }
  [[nodiscard]] const std::vector<std::string>& names(pack::Split split) const override {
    return names_[static_cast<std::size_t>(split)];
  }
  [[nodiscard]] std::vector<std::string> list_faults() const override { return list_faults_; }
  [[nodiscard]] std::vector<std::string> check_files(pack::Split split, std::size_t index) const override;
  [[nodiscard]] RawSample decode(pack::Split split, std::size_t index, const Resize& resize) const override;

 private:
  void read_split(pack::Split split);
  void log_unlisted() const;
  void look_for_optional();
  [[nodiscard]] io::ImageRules image_rules() const;
  /// \param read_header  io::read_image_header, or the one that looks through the whole file
  [[nodiscard]] std::vector<std::string> look_at_files(
      const std::string& id, io::ImageHeader (*read_header)(const std::filesystem::path&)) const;
  [[nodiscard]] std::filesystem::path file(const std::string& pattern, const std::string& id) const;
  void decode_labels(const std::string& id, const io::ImageRules& rules, RawSample& sample) const;
  [[nodiscard]] NormalsFiles normals_files(const std::string& id) const;
  [[nodiscard]] bool is_missing(const std::string& pattern, bool may_be_missing, const std::string& id) const;
  void decode_depth(const std::string& id, const io::ImageRules& rules, RawSample& sample) const;
  void note_orientation(int orientation, RawSample& sample) const;

  std::filesystem::path root_;
  FolderDescription description_;
  pack::Schema schema_;
  std::array<std::vector<std::string>, 2> ids_;
  std::array<std::vector<std::string>, 2> names_;  ///< image files relative to the root
  std::vector<std::string> list_faults_;
  std::array<std::uint8_t, 256> class_of_value_{};  ///< label value -> class or kIgnoreLabel
  std::array<bool, 256> value_is_known_{};
  std::vector<float> depth_of_value_;  ///< by raw value, 2^bits
};

}  // namespace xtasc::preprocess
